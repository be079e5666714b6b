/**
 * Goal: a message that cannot be applied is refused with one sentence that says what was wrong, and changes nothing.
 * Method: a table of bad messages against a run that waits for an approval; then the messages that must always get through.
 */
import assert from 'node:assert/strict';
import { evolve } from '../../../src/domain/run/evolve.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { RunMessage } from '../../../src/domain/run/message.ts';
import { messageProblem } from '../../../src/domain/run/messages.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { RepliedCall } from '../../../src/domain/run/results.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const REFUND: RepliedCall = {
  tool: 'issueRefund',
  args: { amountUsd: 120 },
  argsHash: 'hash-1',
  verdict: { kind: 'approve', rule: 'refunds', deadlineMs: 1_000, onExpiry: 'reject' },
};
const EMAIL: RepliedCall = { tool: 'sendEmail', args: {}, argsHash: 'hash-2', verdict: { kind: 'allow' } };

/** A run whose first call waits for an approval and whose second needs none. */
function waitingRun(): Run {
  const calls = [REFUND, EMAIL];
  const reply = {
    kind: 'replied',
    head: 'h',
    heard: 0,
    calls,
    total: { costPico: '0', tokens: 0 },
    model: 'm',
  } as const;
  const opened = { ...openRun('run-1', sampleStart('single', 'end')), waiting: [], plan: samplePlan() };
  return evolve(opened, { kind: 'model-called', result: reply, activeMs: 0 });
}

const RUN = waitingRun();
const APPROVAL_ID = RUN.calls[0]?.approval?.id ?? assert.fail('no approval');
const GOOD = { id: 'm1', principal: 'ann' };
const APPROVE = {
  ...GOOD,
  kind: 'decideApproval',
  approvalId: APPROVAL_ID,
  argsHash: 'hash-1',
  decision: { kind: 'approve' },
};
const RANGE = 'must be a text of 1 to 200 characters, got';
const KINDS = 'decision.kind must be approve, edit, reject or respond, got';

/** Messages as a client without types can send them. */
const REFUSED: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ kind: 'pause', principal: 'ann' }, `id ${RANGE} undefined`],
  [{ kind: 'pause', id: '', principal: 'ann' }, `id ${RANGE} ""`],
  [{ kind: 'pause', id: 7, principal: 'ann' }, `id ${RANGE} number`],
  [{ kind: 'pause', id: 'x'.repeat(201), principal: 'ann' }, `id ${RANGE} "${'x'.repeat(60)}"`],
  [{ kind: 'pause', id: 'm1', principal: null }, `principal ${RANGE} null`],
  [
    { kind: 'pause', id: 'perdure:start', principal: 'ann' },
    "ids that begin with 'perdure:' are the run's own; choose another",
  ],
  [{ ...GOOD, kind: 'steer' }, 'text must be a text, got undefined'],
  [{ ...GOOD, kind: 'steer', text: ' \n' }, 'text must not be empty'],
  [{ ...GOOD, kind: 'provideInput', text: 5 }, 'text must be a text, got number'],
  [
    { ...GOOD, kind: 'provideInput', text: 'a\ud800' },
    'text is not valid Unicode (broken UTF-8 or a lone surrogate); encode it as UTF-8',
  ],
  [
    { ...GOOD, kind: 'provideInput', text: 'a\u0007b' },
    'text has the control character U+0007 at position 1; remove it',
  ],
  [
    { ...GOOD, kind: 'provideInput', text: 'é'.repeat(131_073) },
    'text has 262146 bytes, at most 262144 are taken; shorten it or give the agent a tool that reads it',
  ],
  [{ ...GOOD, kind: 'requestStop' }, 'reason must be a text, got undefined'],
  [{ ...GOOD, kind: 'requestStop', reason: '' }, 'reason must not be empty'],
  [{ ...GOOD, kind: 'topUpBudget' }, 'topUp must name an amount: costPico, tokens, turns, toolCalls or activeMs'],
  [
    { ...GOOD, kind: 'topUpBudget', topUp: {} },
    'topUp must name an amount: costPico, tokens, turns, toolCalls or activeMs',
  ],
  [{ ...GOOD, kind: 'topUpBudget', topUp: { turns: 0 } }, 'topUp.turns must be a positive whole amount, got number'],
  [{ ...GOOD, kind: 'topUpBudget', topUp: { turns: 1.5 } }, 'topUp.turns must be a positive whole amount, got number'],
  [{ ...GOOD, kind: 'topUpBudget', topUp: { tokens: '5' } }, 'topUp.tokens must be a positive whole amount, got "5"'],
  [
    { ...GOOD, kind: 'topUpBudget', topUp: { costPico: 5 } },
    'topUp.costPico must be a positive whole amount, got number',
  ],
  [
    { ...GOOD, kind: 'topUpBudget', topUp: { costPico: '-5' } },
    'topUp.costPico must be a positive whole amount, got "-5"',
  ],
  [{ ...GOOD, kind: 'topUpBudget', topUp: { usd: 5 } }, 'topUp.usd must be a positive whole amount, got number'],
  [{ ...APPROVE, approvalId: 'other' }, `approval "other" is not pending; pending: ${APPROVAL_ID}`],
  [
    { ...APPROVE, approvalId: undefined, argsHash: 'hash-2' },
    `approval undefined is not pending; pending: ${APPROVAL_ID}`,
  ],
  [
    { ...APPROVE, argsHash: 'hash-2' },
    'argsHash is "hash-2", but the pending arguments have hash-1: look at them again',
  ],
  [
    { ...APPROVE, argsHash: undefined },
    'argsHash is undefined, but the pending arguments have hash-1: look at them again',
  ],
  [{ ...APPROVE, decision: undefined }, `${KINDS} undefined`],
  [{ ...APPROVE, decision: null }, `${KINDS} undefined`],
  [{ ...APPROVE, decision: { kind: 'maybe' } }, `${KINDS} "maybe"`],
  [{ ...APPROVE, decision: { kind: 'edit' } }, 'an edit needs arguments'],
  [{ ...APPROVE, decision: { kind: 'reject' } }, 'reason must be a text, got undefined'],
  [{ ...APPROVE, decision: { kind: 'respond', text: '' } }, 'text must not be empty'],
];

const FINE: readonly RunMessage[] = [
  { ...GOOD, kind: 'pause' },
  { ...GOOD, kind: 'resume' },
  { ...GOOD, kind: 'retry' },
  { ...GOOD, kind: 'steer', text: 'tab\tline\nreturn\r' },
  { ...GOOD, kind: 'provideInput', text: 'x'.repeat(LIMITS.inputBytesMax) },
  { ...GOOD, kind: 'requestStop', reason: 'enough' },
  { ...GOOD, kind: 'topUpBudget', topUp: { costPico: '1', tokens: 1, turns: 1, toolCalls: 1, activeMs: 1 } },
  APPROVE as RunMessage,
  { ...(APPROVE as RunMessage & { kind: 'decideApproval' }), decision: { kind: 'edit', arguments: null } },
];

function problemOf(run: Run, message: Record<string, unknown>): string | null {
  return messageProblem(run, message as unknown as RunMessage);
}

describe('messageProblem', () => {
  for (const [message, problem] of REFUSED) {
    it(`refuses ${JSON.stringify(message).slice(0, 90)}`, () => assert.equal(problemOf(RUN, message), problem));
  }

  for (const message of FINE) {
    it(`takes ${JSON.stringify(message).slice(0, 90)}`, () => assert.equal(messageProblem(RUN, message), null));
  }

  it('refuses a second decision', () => {
    const decided = evolve(RUN, { kind: 'message-received', message: APPROVE as RunMessage });
    const second = { ...APPROVE, id: 'm2', decision: { kind: 'reject', reason: 'no' } };
    assert.equal(problemOf(decided, second), `approval ${APPROVAL_ID} is decided already`);
    assert.equal(problemOf(decided, APPROVE), null, 'the first one sent again is no problem');
  });

  it('says that nothing is pending when nothing is', () => {
    assert.equal(problemOf({ ...RUN, calls: [] }, APPROVE), `approval "${APPROVAL_ID}" is not pending; pending: none`);
  });

  it('refuses everything after the end, also the end of an earlier run', () => {
    const ended: Run = { ...RUN, outcome: { kind: 'refused', reason: 'not here' } };
    assert.equal(problemOf(ended, { ...GOOD, kind: 'pause' }), 'the run has ended (refused); nothing can be changed');
    const end = {
      outcome: { kind: 'completed' },
      answer: null,
      release: 'r',
      turns: 1,
      toolCalls: 0,
      tokens: 1,
      costPico: '0',
    } as const;
    const again: Run = { ...RUN, earlierEnd: end };
    assert.equal(problemOf(again, { ...GOOD, kind: 'pause' }), 'the run has ended (completed); nothing can be changed');
  });
});

describe('a run that has not caught up', () => {
  const wait = { kind: 'input', text: 'x', principal: 'ann' } as const;
  const waiting = Array.from({ length: LIMITS.waitingMessagesMax }, (_, number) => ({ ...wait, id: `w${number}` }));
  const crowded: Run = { ...RUN, waiting, isPaused: true };
  const TOO_MANY = '500 messages wait already; send this one again when the run has caught up';

  it('takes no more texts and top-ups', () => {
    for (const kind of ['steer', 'provideInput'])
      assert.equal(problemOf(crowded, { ...GOOD, kind, text: 'x' }), TOO_MANY);
    assert.equal(problemOf(crowded, { ...GOOD, kind: 'topUpBudget', topUp: { turns: 1 } }), TOO_MANY);
  });

  it('can still be resumed, stopped, retried, paused and given its approval', () => {
    for (const kind of ['resume', 'retry', 'pause']) assert.equal(problemOf(crowded, { ...GOOD, kind }), null);
    assert.equal(problemOf(crowded, { ...GOOD, kind: 'requestStop', reason: 'enough' }), null);
    assert.equal(problemOf(crowded, APPROVE), null);
  });

  it('takes a top-up when its texts are perceived and only the model has not read them', () => {
    const unread: Run = { ...RUN, inputs: waiting.map(({ id }) => id) };
    assert.equal(problemOf(unread, { ...GOOD, kind: 'steer', text: 'x' }), TOO_MANY);
    assert.equal(problemOf(unread, { ...GOOD, kind: 'topUpBudget', topUp: { turns: 1 } }), null);
  });
});

describe('arguments that a person edited', () => {
  const refused: readonly (readonly [string, string, string])[] = [
    ['too deep', '['.repeat(50_000) + ']'.repeat(50_000), 'arguments have more than 100 levels; send a flatter value'],
    ['a number that is none', '{"amount":1e999}', 'arguments have a number that is beyond what JSON can hold'],
    [
      'too large',
      JSON.stringify('x'.repeat(LIMITS.inputBytesMax)),
      'arguments have 262146 bytes, at most 262144 are taken; edit them to be shorter',
    ],
  ];
  for (const [what, json, problem] of refused) {
    it(`are refused: ${what}`, () => {
      const edited = JSON.parse(json) as unknown;
      assert.equal(problemOf(RUN, { ...APPROVE, decision: { kind: 'edit', arguments: edited } }), problem);
    });
  }
});
