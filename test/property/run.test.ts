/**
 * Goal: whatever happens to a run, in whatever order, it keeps the promises that the rest of Perdure relies on.
 * Method: an environment answers each decision with a random observation that could really come back, and sends random messages
 * meanwhile; each promise is checked on every step of the run.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { canonicalJson, utf8Bytes } from '../../src/domain/json.ts';
import { packContinuation } from '../../src/domain/run/continuation.ts';
import { decide } from '../../src/domain/run/decide.ts';
import type { Decision } from '../../src/domain/run/decision.ts';
import { LIMITS } from '../../src/domain/run/limits.ts';
import { messageHash } from '../../src/domain/run/messages.ts';
import type { Observation } from '../../src/domain/run/observation.ts';
import type { PendingCall, Run } from '../../src/domain/run/run.ts';
import type { Taken } from '../../src/domain/run/taken.ts';
import { readDeferredToken } from '../../src/domain/run/deferred-token.ts';
import { choicesFrom } from './choices.ts';
import { sampleToken } from './legal-messages.ts';
import { resultRef } from './legal-observations.ts';
import { liveRun, type Step } from './live-run.ts';
import { isSampleWrite } from './sample-run.ts';

const RUNS = 700;

/** Checks every step of many generated runs. */
function eachRun(check: (steps: readonly Step[]) => void): void {
  const numbers = fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 600, size: 'max' });
  fc.assert(
    fc.property(numbers, (drawn) => check(liveRun(choicesFrom(drawn)))),
    { numRuns: RUNS },
  );
}

function stepsOf<Kind extends Decision['kind']>(
  steps: readonly Step[],
  kind: Kind,
): readonly (Step & { readonly decision: Decision & { kind: Kind } })[] {
  return steps.filter((step): step is Step & { decision: Decision & { kind: Kind } } => step.decision.kind === kind);
}

describe('any run', () => {
  it('meets every kind of decision and of end', () => {
    const [decisions, ends] = [new Set<string>(), new Set<string>()];
    eachRun((steps) => {
      for (const { decision } of steps) decisions.add(decision.kind);
      for (const { decision } of stepsOf(steps, 'end')) ends.add(decision.end.outcome.kind);
    });
    assert.equal(decisions.size, 13, [...decisions].join());
    assert.equal(ends.size, 6, [...ends].join());
  });

  it('asks the model only when nothing is pending or unknown', () => {
    eachRun((steps) => {
      for (const { run } of stepsOf(steps, 'call-model')) {
        assert.deepEqual(
          [run.calls, run.waiting, run.unknownEffect, run.isPaused, run.stop],
          [[], [], null, false, null],
        );
      }
    });
  });

  it('closes a bounded number of times, and only where the plan has early exits', () => {
    eachRun((steps) => {
      for (const { decision, run } of steps) {
        assert.ok((run.exit?.closings ?? 0) <= LIMITS.closingsMax);
        if (decision.kind === 'call-model' && decision.closing !== undefined) assert.ok(run.plan?.exit !== undefined);
        if (run.plan?.exit === undefined)
          assert.deepEqual([run.exit, run.news, run.pace, run.costs], Array(4).fill(undefined));
      }
    });
  });

  it('writes one at a time, and nothing while an effect is unknown', () => {
    eachRun((steps) => {
      for (const { decision, run } of stepsOf(steps, 'call-tools')) {
        const writes = decision.calls.filter(({ tool }) => isSampleWrite(tool));
        assert.ok(writes.length === 0 || decision.calls.length === 1, canonicalJson(decision));
        assert.equal(run.unknownEffect, null);
      }
    });
  });

  it('calls no tool without the approval that policy asks for', () => {
    eachRun((steps) => {
      const approved = new Map<string, string>();
      for (const { observations, decision } of steps) {
        for (const { calls, turn } of takenIn(observations)) {
          for (const { index, approval, argsHash } of calls) {
            if (approval !== undefined) approved.set(`${turn}.${index}`, argsHash);
          }
        }
        if (decision.kind === 'call-tools')
          decision.calls.forEach((call) => assertAllowed(approved, decision.turn, call));
        if (decision.kind !== 'await-approval') continue;
        for (const observation of observations) {
          if (observation.kind !== 'approval-settled' || observation.result.kind !== 'approved') continue;
          approved.set(`${decision.turn}.${observation.index}`, observation.result.argsHash);
        }
      }
    });
  });

  it('gives every call one result before the model is asked again, and every text once', () => {
    eachRun((steps) => {
      const told: string[] = [];
      let asked: readonly string[] = [];
      for (const { decision, observations } of steps) {
        for (const { turn, calls, results } of takenIn(observations)) {
          asked = [...results, ...calls]
            .map(({ index }) => index)
            .toSorted((a, b) => a - b)
            .map((index) => resultRef(turn, index));
        }
        const reply = observations.find((observation) => observation.kind === 'model-called')?.result;
        if (decision.kind !== 'call-model') continue;
        assert.deepEqual(decision.delta.slice(0, asked.length), asked, 'results come first, in the order of the calls');
        if (reply?.kind !== 'replied') continue;
        told.push(...decision.delta);
        asked = reply.calls.map((_, index) => resultRef(decision.turn, index));
      }
      assert.equal(new Set(told).size, told.length, told.join());
    });
  });

  it('gives a deferred call the first genuine result, however early it came, and no other', () => {
    let given = 0;
    eachRun((steps) => {
      const genuine = new Map<string, string>();
      for (const { observations, next } of steps) {
        for (const observation of observations) {
          if (observation.kind !== 'message-received' || observation.message.kind !== 'completeTool') continue;
          const { token, id } = observation.message;
          const place = readDeferredToken(token) ?? assert.fail(token);
          const isGenuine = token === sampleToken(place.turn, place.index);
          if (isGenuine && !genuine.has(token)) genuine.set(token, id);
        }
        for (const { deferred } of next.calls) {
          if (deferred === undefined) continue;
          assert.equal(deferred.completion?.id, genuine.get(deferred.token));
          given += deferred.completion === undefined ? 0 : 1;
        }
      }
    });
    assert.ok(given > 100, `${given} results`);
  });

  it('waits for results from outside only when nothing else of the turn is left', () => {
    eachRun((steps) => {
      for (const { run, decision } of stepsOf(steps, 'await-deferred')) {
        assert.deepEqual(decision.calls, run.calls);
        assert.deepEqual([run.waiting, run.unknownEffect, run.isPaused, run.stop], [[], null, false, null]);
      }
    });
  });

  it('ends at once when it has an outcome or is stopped, and does nothing after', () => {
    eachRun((steps) => {
      steps.forEach(({ run, decision }, position) => {
        const mustEnd = run.outcome !== null || run.stop !== null || run.earlierEnd !== null;
        if (mustEnd) assert.equal(decision.kind, 'end');
        assert.equal(decision.kind === 'end', position === steps.length - 1);
      });
    });
  });

  it('applies a message once, however often it comes', () => {
    eachRun((steps) => {
      const ids = steps.flatMap(({ observations }) =>
        observations.flatMap((each) => (each.kind === 'message-received' ? [each.message.id] : [])),
      );
      const applied = steps.at(-1)?.next.applied ?? [];
      assert.deepEqual(applied, [...new Set(ids)].map(messageHash));
      const perceived = steps.flatMap(({ decision, observations }) =>
        decision.kind === 'perceive' && observations.some(({ kind }) => kind === 'perceived')
          ? decision.inputs.map(({ id }) => id)
          : [],
      );
      assert.equal(new Set(perceived).size, perceived.length, perceived.join());
    });
  });

  it('never forgets what was said, used or counted', () => {
    eachRun((steps) => {
      for (const { run, next } of steps) {
        assert.ok(BigInt(next.total.costPico) >= BigInt(run.total.costPico));
        for (const [before, after] of [
          [run.total.tokens, next.total.tokens],
          [run.toolCalls, next.toolCalls],
          [run.turn, next.turn],
          [run.activeMs, next.activeMs],
          [run.revisions, next.revisions],
        ] as const) {
          assert.ok(after >= before);
        }
        if (run.answer !== null) assert.notEqual(next.answer, null);
      }
    });
  });

  it('goes on where the run stopped that it takes up, and makes none of its turns', () => {
    let times = 0;
    eachRun((steps) => {
      const [first] = steps.flatMap(({ observations }) => takenIn(observations));
      if (first === undefined) return;
      times += 1;
      const models = stepsOf(steps, 'call-model');
      assert.ok(models.every(({ decision }) => decision.turn > first.turn));
      const [asked] = models;
      if (asked === undefined) return;
      assert.equal(asked.run.head, first.head);
      assert.deepEqual(
        first.inputs.filter((ref) => asked.decision.delta.includes(ref)),
        first.inputs,
      );
      const isRead = steps.some(
        ({ decision }) => decision.kind === 'perceive' && decision.inputs.some(({ id }) => id === 'perdure:start'),
      );
      assert.equal(isRead, !first.isInputHeard);
    });
    assert.ok(times > RUNS / 10, `${times} successors`);
  });

  it('compacts only turns that are over, and tries a prompt that does not fit once more', () => {
    eachRun((steps) => {
      for (const { run, decision, next } of steps) {
        if (decision.kind === 'compact') {
          assert.deepEqual([run.calls, run.waiting, decision.head], [[], [], run.head]);
          assert.ok(decision.through < run.turn + 1 && next.turn === run.turn);
        }
      }
      // Between two replies: at most one refusal is followed by a summary, and a second ends the run.
      let refusals = 0;
      for (const { observations } of steps) {
        for (const each of observations) {
          if (each.kind !== 'model-called') continue;
          if (each.result.kind === 'replied') refusals = 0;
          if (each.result.kind === 'context-too-long') refusals += 1;
          assert.ok(refusals <= 2, `${refusals} refusals`);
        }
      }
    });
  });

  it('tells the model the same after a compaction', () => {
    eachRun((steps) => {
      for (const { run, next } of stepsOf(steps, 'compact')) {
        assert.deepEqual(next.results, run.results);
        assert.deepEqual(next.inputs.slice(0, run.inputs.length), run.inputs);
      }
    });
  });

  it('keeps its limits', () => {
    eachRun((steps) => {
      for (const { run, decision } of steps) {
        const limits = run.plan?.limits;
        if (limits === undefined) continue;
        assert.ok(run.turn <= limits.turns && run.toolCalls <= limits.toolCalls);
        if (decision.kind !== 'call-model') continue;
        assert.ok(run.turn < limits.turns && run.total.tokens < limits.tokens && run.activeMs < limits.activeMs);
        assert.ok(BigInt(run.total.costPico) < BigInt(limits.costPico));
      }
    });
  });

  it('continues as new only between turns, and decides the same afterwards', () => {
    eachRun((steps) => {
      for (const { run, next } of stepsOf(steps, 'continue-as-new')) {
        assert.deepEqual(
          [run.calls, run.waiting, run.unknownEffect, run.outcome, run.stop],
          [[], [], null, null, null],
        );
        assert.ok(utf8Bytes(canonicalJson(packContinuation(run))) <= LIMITS.continuationBytesMax);
        assert.deepEqual(decide(next, { isHistoryLong: false }), decide(inOneExecution(run), { isHistoryLong: false }));
        assert.deepEqual({ ...next, turnsBefore: 0 }, { ...run, turnsBefore: 0 });
      }
    });
  });
});

function takenIn(observations: readonly Observation[]): readonly Taken[] {
  return observations.flatMap((each) =>
    each.kind === 'admitted' && each.result.kind === 'admitted' && each.result.taken !== undefined
      ? [each.result.taken]
      : [],
  );
}

function assertAllowed(approved: ReadonlyMap<string, string>, turn: number, call: PendingCall): void {
  if (call.verdict.kind === 'allow') return;
  assert.equal(call.verdict.kind, 'approve');
  assert.equal(approved.get(`${turn}.${call.index}`), call.argsHash, `${turn}.${call.index} was not approved`);
}

function inOneExecution(run: Run): Run {
  return run.plan === null ? run : { ...run, plan: { ...run.plan, turnsPerExecution: Number.POSITIVE_INFINITY } };
}
