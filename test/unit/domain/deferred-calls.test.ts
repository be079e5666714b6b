/**
 * Goal: a result from outside is refused in words that say what was wrong, tells nobody another token, and breaks nothing whatever it holds.
 * Method: a table of bad results against a run that waits for one call and is about to make another.
 */
import assert from 'node:assert/strict';
import { isDeeperThan } from '../../../src/domain/json.ts';
import { makeDeferredToken, readDeferredToken } from '../../../src/domain/run/deferred-token.ts';
import { evolve } from '../../../src/domain/run/evolve.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { RunMessage } from '../../../src/domain/run/message.ts';
import { messageProblem } from '../../../src/domain/run/messages.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { RepliedCall } from '../../../src/domain/run/results.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import { pendingOf } from '../../../src/domain/run/views.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const tokenOf = (index: number, secret = 's', turn = 1): string =>
  makeDeferredToken({ runId: 'run-1', turn, index }, secret.repeat(22));

function call(tool: string): RepliedCall {
  return { tool, args: {}, argsHash: 'h', verdict: { kind: 'allow' } };
}

/** A run whose call 0 waits for its result, whose call 1 is about to be made, and whose call 2 needs an approval. */
function waitingRun(): Run {
  const asked: RepliedCall = {
    ...call('issueRefund'),
    verdict: { kind: 'approve', rule: 'refunds', deadlineMs: 1_000, onExpiry: 'reject' },
  };
  const calls = [call('checkStock'), call('sendEmail'), asked];
  const total = { costPico: '0', tokens: 0 };
  const result = { kind: 'replied', head: 'h', heard: 0, calls, total, model: 'm' } as const;
  const opened = { ...openRun('run-1', sampleStart('single', 'end')), waiting: [], plan: samplePlan() };
  const run = evolve(opened, { kind: 'model-called', result, activeMs: 0 });
  const deferred = { outcome: 'deferred', token: tokenOf(0), deadlineAt: 5_000 } as const;
  const results = [{ index: 0, result: deferred }];
  return evolve(run, { kind: 'tools-called', results, trouble: null, retriesBefore: 0, activeMs: 0 });
}

const RUN = waitingRun();
const WAITING = 'waiting: checkStock (call 0 of turn 1)';
const ONE_OF_THEM = 'result must be { output } with JSON or { error } with a text, one of them';

/** Messages as a client without types can send them. */
const REFUSED: readonly (readonly [what: string, token: unknown, result: unknown, problem: string])[] = [
  ['no token', undefined, { output: 1 }, 'token is not one that a deferred tool was given'],
  ['a number as the token', 7, { output: 1 }, 'token is not one that a deferred tool was given'],
  ['a short secret', 'run-1_1_0_abc', { output: 1 }, 'token is not one that a deferred tool was given'],
  [
    'another run',
    makeDeferredToken({ runId: 'run-2', turn: 1, index: 0 }, 's'.repeat(22)),
    { output: 1 },
    'the token is of run run-2, not of run-1',
  ],
  ['a guess', tokenOf(0, 'g'), { output: 1 }, `the token is not the one that checkStock was given; ${WAITING}`],
  [
    'a call that nobody has approved',
    tokenOf(2),
    { output: 1 },
    `the token is not one that issueRefund was given; ${WAITING}`,
  ],
  [
    'a call of another turn',
    tokenOf(0, 's', 4),
    { output: 1 },
    `call 0 of turn 4 waits for no result any more: it has one, or its time is over; ${WAITING}`,
  ],
  ['no result', tokenOf(0), undefined, ONE_OF_THEM],
  ['a result of nothing', tokenOf(0), null, ONE_OF_THEM],
  ['an empty result', tokenOf(0), {}, ONE_OF_THEM],
  ['two results', tokenOf(0), { output: 1, error: 'no' }, ONE_OF_THEM],
  ['an error without words', tokenOf(0), { error: ' ' }, 'error must not be empty'],
  ['an error that is no text', tokenOf(0), { error: 7 }, 'error must be a text, got number'],
  [
    'too large an output',
    tokenOf(0),
    { output: 'x'.repeat(LIMITS.inputBytesMax) },
    'output has 262146 bytes, at most 262144 are taken; send a reference to it instead',
  ],
  [
    'too deep an output',
    tokenOf(0),
    { output: JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)) as unknown },
    'output has more than 100 levels; send a flatter value',
  ],
];

function complete(token: unknown, result: unknown, id = 'm1'): RunMessage {
  return { id, principal: 'ann', kind: 'completeTool', token, result } as RunMessage;
}

describe('a result from outside', () => {
  for (const [what, token, result, problem] of REFUSED) {
    it(`is refused: ${what}`, () => {
      const said = messageProblem(RUN, complete(token, result));
      assert.equal(said, problem);
      assert.ok(!said.includes(tokenOf(0)));
    });
  }

  it('may be null, and false, and of a hundred levels', () => {
    const deep: unknown = JSON.parse('['.repeat(LIMITS.outputDepthMax) + ']'.repeat(LIMITS.outputDepthMax));
    for (const output of [null, false, 0, '', deep]) {
      assert.equal(messageProblem(RUN, complete(tokenOf(0), { output })), null);
    }
  });

  it('is all that is kept of what came with it', () => {
    const message = complete(tokenOf(0), { output: null, junk: 'x' });
    const [given] = evolve(RUN, { kind: 'message-received', message }).calls;
    assert.deepEqual(given?.deferred?.completion, { id: 'm1', principal: 'ann', result: { output: null } });
  });

  it('waits for a call that may have begun, and few of them do', () => {
    let run = RUN;
    for (let guess = 0; guess < LIMITS.earlyResultsMax; guess += 1) {
      const message = complete(tokenOf(1, String(guess)), { output: guess }, `m${guess}`);
      assert.equal(messageProblem(run, message), null);
      run = evolve(run, { kind: 'message-received', message });
    }
    assert.match(
      messageProblem(run, complete(tokenOf(1, 'z'), { output: 1 }, 'z')) ?? '',
      /^4 results wait for sendEmail/,
    );
  });

  it('is what the run says that it waits for', () => {
    const pending = { kind: 'deferred', turn: 1, tool: 'checkStock', token: tokenOf(0), deadlineAt: 5_000 };
    assert.deepEqual(pendingOf(RUN), [pending]);
  });
});

describe('a token', () => {
  it('says which call of which run it stands for', () => {
    const place = { runId: 'a_run-1', turn: 12, index: 3 };
    assert.deepEqual(readDeferredToken(makeDeferredToken(place, 'Ab0'.repeat(7) + 'z')), place);
  });
});

describe('the depth of a value', () => {
  it('counts levels', () => {
    assert.deepEqual(
      [7, [], [[]], { a: [1] }].map((value) => [0, 1, 2].map((levels) => isDeeperThan(value, levels))),
      [
        [false, false, false],
        [false, false, false],
        [true, false, false],
        [true, true, false],
      ],
    );
  });
});
