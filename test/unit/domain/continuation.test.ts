/**
 * Goal: whatever a run has gathered, its continuation fits, and one that could not fit is refused loudly.
 * Method: fills every part of a run to its bound and packs it.
 */
import assert from 'node:assert/strict';
import { canonicalJson, utf8Bytes } from '../../../src/domain/json.ts';
import { isContinuation, packContinuation, unpackContinuation } from '../../../src/domain/run/continuation.ts';
import { evolve } from '../../../src/domain/run/evolve.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import { messageHash, messageProblem } from '../../../src/domain/run/messages.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { PlannedTool } from '../../../src/domain/run/plan.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import type { RunMessage } from '../../../src/domain/run/message.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const NAME_LENGTH_MAX = 48;

function steer(number: number): RunMessage {
  return { kind: 'steer', id: `message-${number}`, principal: 'ann', text: 'go on' };
}

/** A run that has heard all it may hear, with twenty tools of the longest names. */
function fullRun(): Run {
  const tools = Array.from({ length: 20 }, (_, index): [string, PlannedTool] => {
    const name = `${index}`.padStart(NAME_LENGTH_MAX, 'tool');
    const long = { taskQueue: 'perdure-tool-'.padEnd(45, 'q'), execution: 'queued', timeoutMs: 600_000 } as const;
    return [name, { ...long, activity: `${name}@1`, contract: 'c'.repeat(22), effect: 'idempotent-write' }];
  });
  const opened = openRun('r'.repeat(22), sampleStart('conversation', 'wait'));
  return {
    ...opened,
    plan: samplePlan({ tools: Object.fromEntries(tools) }),
    waiting: [],
    turn: 50,
    head: 'h'.repeat(22),
    answer: { ref: 'a'.repeat(22), preview: '語'.repeat(LIMITS.previewLengthMax) },
    applied: Array.from({ length: LIMITS.rememberedMessagesMax }, (_, number) => messageHash(`earlier-${number}`)),
    results: Array.from({ length: LIMITS.callsPerTurnMax }, (_, index) => ({ index, ref: 'r'.repeat(22) })),
    repeated: {
      fingerprint: `${'t'.repeat(NAME_LENGTH_MAX)} ${'h'.repeat(22)} `.repeat(LIMITS.callsPerTurnMax),
      times: 2,
    },
    blocked: { cause: 'infra', message: 'm'.repeat(2_000), mend: 'm'.repeat(500) },
  };
}

/** Sends messages and perceives them, as a run does that waits for a top-up, until no more are taken. */
function hearAll(run: Run): Run {
  let heard = run;
  for (let number = 0; number < 10_000; number += 1) {
    const message = steer(number);
    if (messageProblem(heard, message) !== null) return heard;
    heard = evolve(heard, { kind: 'message-received', message });
    const result = { inputs: [String(number).padStart(22, '0')] };
    heard = evolve(heard, { kind: 'perceived', ids: [message.id], result, activeMs: 0 });
  }
  return heard;
}

describe('the continuation', () => {
  it('fits when everything in it is at its bound', () => {
    const continuation = packContinuation(hearAll(fullRun()));
    assert.ok(utf8Bytes(canonicalJson(continuation)) <= LIMITS.continuationBytesMax);
  });

  it('keeps the run, and counts its turns anew', () => {
    const run = fullRun();
    const carried: unknown = JSON.parse(JSON.stringify(packContinuation(run)));
    assert.ok(isContinuation(carried as object));
    assert.deepEqual(unpackContinuation(carried as ReturnType<typeof packContinuation>), { ...run, turnsBefore: 50 });
    assert.equal(isContinuation(sampleStart('single', 'end')), false);
  });

  it('is refused when it is too large', () => {
    const run = { ...fullRun(), head: 'h'.repeat(LIMITS.continuationBytesMax) };
    assert.throws(() => packContinuation(run), /continuation of \d+ bytes, at most 65536 fit/);
  });

  it('remembers the newest thousand messages', () => {
    const run = evolve(fullRun(), { kind: 'message-received', message: steer(1) });
    assert.equal(run.applied.length, LIMITS.rememberedMessagesMax);
    assert.equal(run.applied.at(-1), messageHash('message-1'));
    assert.equal(run.applied[0], messageHash('earlier-1'));
  });
});
