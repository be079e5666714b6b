// Goal: a run ends early for the reasons that its plan has, after one more answer, and never for anything else.
// Method: observations folded by the core, and what it decides then.
import assert from 'node:assert/strict';
import { decide } from '../../../src/domain/run/decide.ts';
import type { Decision } from '../../../src/domain/run/decision.ts';
import type { ExitPlan } from '../../../src/domain/run/exit-policy.ts';
import { evolve } from '../../../src/domain/run/evolve.ts';
import type { Observation } from '../../../src/domain/run/observation.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { ModelResult, ToolResult } from '../../../src/domain/run/results.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const GOAL: ExitPlan = { goals: [{ tool: 'addNote' }, { tool: 'sendEmail', outcome: 'ok' }] };
const MS = 100;

/** Moments at which nothing is near. */
const EARLY = { isHistoryLong: false, now: -1_000_000_000 };

type Replied = ModelResult & { readonly kind: 'replied' };

const begin = (exit: ExitPlan | null, kind: 'single' | 'conversation' = 'single'): Run => {
  const limits = { costPico: '1000000', tokens: 1e9, turns: 999, toolCalls: 999, activeMs: 1e9 };
  const change = exit === null ? {} : { exit };
  const plan = samplePlan({ turnsPerExecution: 50, limits, ...change });
  return hear(
    evolve(openRun('run-1', sampleStart(kind, 'end')), { kind: 'admitted', result: { kind: 'admitted', plan } }),
  );
};

/** Perceives whatever waits. */
const hear = (run: Run): Run => {
  const ids = run.waiting.map(({ id }) => id);
  const result = { inputs: ids.map((id) => `text:${id}`) };
  return ids.length === 0 ? run : evolve(run, { kind: 'perceived', ids, result, activeMs: 1 });
};

const reply = (run: Run, rest: Partial<Replied>, activeMs = MS): Run => {
  const result: Replied = {
    kind: 'replied',
    head: `head-${run.turn + 1}`,
    heard: run.results.length + run.inputs.length,
    calls: [],
    total: run.total,
    model: 'm',
    ...rest,
  };
  return evolve(run, { kind: 'model-called', result, activeMs });
};

const asking = (tools: readonly string[], argsHash: string): Partial<Replied> => ({
  calls: tools.map((tool) => ({ tool, args: null, argsHash, verdict: { kind: 'allow' } })),
});

/** A turn with calls, each of which has its result. */
const turn = (run: Run, calls: Readonly<Record<string, Partial<ToolResult>>>, argsHash = `args-${run.turn}`): Run => {
  const asked = reply(run, asking(Object.keys(calls), argsHash));
  const results = Object.values(calls).map((result, index) => ({
    index,
    result: { outcome: 'ok', ref: `result:${asked.turn}.${index}`, ...result } as ToolResult,
  }));
  const observation: Observation = { kind: 'tools-called', results, trouble: null, retriesBefore: 0, activeMs: MS };
  return evolve(asked, observation);
};

/** A run whose model asks for the same two things in turns. */
const stale = (turns: number, exit: ExitPlan | null = { goals: [] }): Run => {
  let run = turn(turn(begin(exit), { lookupOrder: { tells: 'a' } }), { lookupOrder: { tells: 'b' } });
  for (let index = 0; index < turns; index += 1) {
    run = hear(turn(run, { lookupOrder: { tells: index % 2 === 0 ? 'a' : 'b' } }, `args-${index % 2}`));
  }
  return run;
};

// The sample's deadline is at 0. A turn takes 100 + 100 ms, a model call 100 ms, and two seconds are kept beside.
const twoTurns = () =>
  turn(turn(begin({ goals: [] }), { lookupOrder: { tells: 'a' } }), { lookupOrder: { tells: 'b' } });

const closingOf = (decision: Decision) => (decision.kind === 'call-model' ? decision.closing : decision.kind);
const at = (now: number, of = twoTurns()) => closingOf(decide(of, { isHistoryLong: false, now }));
const endOf = (decision: Decision) => (decision.kind === 'end' ? decision.end : assert.fail(`it is ${decision.kind}`));

describe('a goal', () => {
  for (const [what, calls] of [
    ['is met by a result of the tool', { addNote: {} }],
    ['is met by a write that was done before', { addNote: { outcome: 'already-done' } }],
    ['is met by one of many calls', { lookupOrder: { tells: 'a' }, sendEmail: {} }],
  ] as const) {
    it(what, () => {
      const run = turn(begin(GOAL), calls);
      assert.equal(closingOf(decide(run, EARLY)), 'goal');
      const answer = { ref: 'answer', preview: 'Done.' };
      const end = endOf(decide(reply(run, { answer, closing: 'goal' }), EARLY));
      assert.deepEqual([end.outcome, end.answer, end.exit], [{ kind: 'completed' }, answer, { reason: 'goal' }]);
    });
  }

  for (const [what, exit, calls] of [
    ['is not met by an error', GOAL, { addNote: { outcome: 'error' } }],
    ['is not met by another outcome than the rule names', GOAL, { sendEmail: { outcome: 'already-done' } }],
    ['is not met by another tool', GOAL, { checkStock: {} }],
    ['does nothing in a plan of a build before early exits', null, { addNote: {} }],
  ] as const) {
    it(what, () => assert.equal(closingOf(decide(turn(begin(exit), calls), EARLY)), undefined));
  }

  it('waits until the calls that were asked for are made', () => {
    const asked = reply(begin(GOAL), asking(['addNote', 'sendEmail'], 'args'));
    const first: Observation = {
      kind: 'tools-called',
      results: [{ index: 0, result: { outcome: 'ok', ref: 'r' } }],
      trouble: null,
      retriesBefore: 0,
      activeMs: MS,
    };
    assert.equal(closingOf(decide(evolve(asked, first), EARLY)), 'call-tools');
  });

  it('is met by the result of a deferred call from outside, and not by its error', () => {
    for (const [result, closing] of [
      [{ output: 1 }, 'goal'],
      [{ error: 'no' }, undefined],
    ] as const) {
      const asked = turn(begin(GOAL), { addNote: { outcome: 'deferred', token: 't', deadlineAt: 5 } as never });
      const calls = asked.calls.map((call) => ({
        ...call,
        deferred: { token: 't', deadlineAt: 5, completion: { id: 'i', principal: 'p', result } },
      }));
      const settled = evolve({ ...asked, calls }, { kind: 'deferred-settled', index: 0, ref: 'r' });
      assert.equal(closingOf(decide(settled, EARLY)), closing);
    }
  });

  it('ends the run without an answer when the model gives none in two closing calls', () => {
    let run = turn(begin(GOAL), { addNote: {} });
    for (const expected of ['goal', 'goal'] as const) {
      assert.equal(closingOf(decide(run, EARLY)), expected);
      run = reply(run, {
        calls: [{ tool: 'lookupOrder', args: null, argsHash: 'x', verdict: { kind: 'answered', ref: 'r' } }],
        closing: 'goal',
      });
    }
    const end = endOf(decide(run, EARLY));
    assert.deepEqual([end.outcome, end.exit], [{ kind: 'completed' }, { reason: 'goal' }]);
  });

  it('is forgotten when somebody says something before the answer, and not for a top-up', () => {
    const run = turn(begin(GOAL), { addNote: {} });
    const steer = { kind: 'steer', id: 'm-1', principal: 'ann', text: 'One more.' } as const;
    const said = hear(evolve(run, { kind: 'message-received', message: steer }));
    assert.equal(closingOf(decide(said, EARLY)), undefined);
    const topUp = { kind: 'topUpBudget', id: 'm-2', principal: 'ann', topUp: { turns: 1 } } as const;
    const toppedUp = evolve(run, { kind: 'message-received', message: topUp });
    const heard = evolve(toppedUp, { kind: 'perceived', ids: ['m-2'], result: { inputs: [] }, activeMs: 1 });
    assert.equal(closingOf(decide(heard, EARLY)), 'goal');
  });

  it('lets a conversation go on', () => {
    const run = turn(begin(GOAL, 'conversation'), { addNote: {} });
    const answered = reply(run, { answer: { ref: 'a', preview: 'Done.' }, closing: 'goal' });
    assert.equal(decide(answered, EARLY).kind, 'await-human');
    const next = { kind: 'provideInput', id: 'm-1', principal: 'ann', text: 'Next.' } as const;
    assert.equal(
      closingOf(decide(hear(evolve(answered, { kind: 'message-received', message: next })), EARLY)),
      undefined,
    );
  });
});

describe('no new information', () => {
  it('is told to the model after three turns that told nothing, though their calls take turns', () => {
    assert.deepEqual(turn(stale(1), { lookupOrder: { tells: 'b' } }, 'args-1').waiting, []);
    const told = turn(stale(2), { lookupOrder: { tells: 'a' } }, 'args-0');
    assert.deepEqual(
      told.waiting.map(({ id }) => id),
      ['perdure:stale-5'],
    );
    assert.equal(closingOf(decide(stale(3), EARLY)), undefined);
  });

  it('closes the run after five, and ends it with what the model has', () => {
    const run = stale(5);
    assert.equal(closingOf(decide(run, EARLY)), 'no-new-information');
    const end = endOf(
      decide(reply(run, { answer: { ref: 'a', preview: 'No.' }, closing: 'no-new-information' }), EARLY),
    );
    assert.deepEqual([end.outcome, end.exit], [{ kind: 'completed' }, { reason: 'no-new-information' }]);
  });

  it('fails the run when the model gives no answer to the closing calls', () => {
    let run = stale(5);
    for (let calls = 0; calls < 2; calls += 1) {
      run = hear(
        reply(run, {
          calls: [{ tool: 'lookupOrder', args: null, argsHash: `x${calls}`, verdict: { kind: 'answered', ref: 'r' } }],
          closing: 'no-new-information',
        }),
      );
    }
    const { outcome, exit } = endOf(decide(run, EARLY));
    assert.ok(outcome.kind === 'failed' && outcome.cause === 'model-error', JSON.stringify(outcome));
    assert.deepEqual(exit, { reason: 'no-new-information' });
  });

  for (const [what, calls] of [
    ['a new result', { lookupOrder: { tells: 'c' } }],
    ['a new result beside an old one', { lookupOrder: { tells: 'a' }, checkStock: { tells: 'c' } }],
    ['a write', { lookupOrder: { tells: 'a' }, addNote: {} }],
  ] as const) {
    it(`begins anew with ${what}`, () => {
      const run = turn(stale(4), calls);
      assert.equal(run.news?.staleTurns, 0);
      assert.equal(closingOf(decide(turn(run, { lookupOrder: { tells: 'a' } }), EARLY)), undefined);
    });
  }

  it('does not end runs of a plan before early exits', () => {
    const run = stale(9, null);
    assert.deepEqual([run.news, closingOf(decide(run, EARLY))], [undefined, undefined]);
  });
});

/** Makes the same call so many times, each with its result, or until the run closes or ends. */
const repeat = (exit: ExitPlan, times: number, tells: (call: number) => string, answer: Partial<ToolResult> = {}) => {
  let run = begin(exit);
  const told: string[] = [];
  let made = 0;
  for (; made < times; made += 1) {
    const decision = decide(run, EARLY);
    if (decision.kind !== 'call-model' || decision.closing !== undefined) break;
    run = turn(run, { lookupOrder: { tells: tells(made), ...answer } }, 'same');
    told.push(...run.waiting.map(({ id }) => id));
    run = hear(run);
  }
  return { run, told, made };
};

const CLOSES: ExitPlan = { goals: [], polls: [] };
const POLLS: ExitPlan = { goals: [], polls: ['lookupOrder'] };

describe('equal calls in a row', () => {
  it('are told to the model after three, and after five the run is asked for its answer', () => {
    const { run, told, made } = repeat(CLOSES, 9, () => 'a');
    assert.deepEqual([made, told], [5, ['perdure:repeat-3']]);
    assert.equal(closingOf(decide(run, EARLY)), 'repeated-calls');
    const answer = { ref: 'a', preview: 'It is so.' };
    const end = endOf(decide(reply(run, { answer, closing: 'repeated-calls' }), EARLY));
    assert.deepEqual(
      [end.outcome, end.answer, end.exit],
      [{ kind: 'completed' }, answer, { reason: 'repeated-calls' }],
    );
  });

  it('are writes too, and none of those that come with a closing reply is made', () => {
    let run = begin(CLOSES);
    for (let calls = 0; calls < 5; calls += 1) run = hear(turn(run, { addNote: {} }, 'same'));
    assert.equal(closingOf(decide(run, EARLY)), 'repeated-calls');
    for (let calls = 0; calls < 2; calls += 1) {
      const asked = [
        { tool: 'addNote', args: null, argsHash: 'same', verdict: { kind: 'answered', ref: 'r' } } as const,
      ];
      run = reply(run, { calls: asked, closing: 'repeated-calls' });
    }
    const { outcome, exit } = endOf(decide(run, EARLY));
    assert.deepEqual([outcome.kind, exit], ['failed', { reason: 'repeated-calls' }]);
  });

  it('are none where each of them tells something new', () => {
    const { run, told, made } = repeat(CLOSES, 30, (call) => `${call} %`);
    assert.deepEqual([made, told, run.exit, run.outcome], [30, [], undefined, null]);
  });

  it('are none where the tool waits for something, whatever it tells', () => {
    const { run, told, made } = repeat(POLLS, 30, () => 'pending');
    assert.deepEqual([made, told, run.exit, run.outcome], [30, [], undefined, null]);
  });

  it('are counted beside a tool that waits for something', () => {
    let run = begin(POLLS);
    for (let calls = 0; calls < 5; calls += 1) {
      run = hear(turn(run, { lookupOrder: { tells: 'pending' }, checkStock: { tells: 'a' } }, 'same'));
    }
    assert.equal(closingOf(decide(run, EARLY)), 'repeated-calls');
  });

  it('still end a conversation that was asked for an answer and gives none', () => {
    let run = begin(CLOSES, 'conversation');
    for (let calls = 0; calls < 5; calls += 1) run = hear(turn(run, { lookupOrder: { tells: 'a' } }, 'same'));
    for (let calls = 0; calls < 2; calls += 1) {
      assert.equal(closingOf(decide(run, EARLY)), 'repeated-calls');
      const asked = [
        { tool: 'lookupOrder', args: null, argsHash: 'same', verdict: { kind: 'answered', ref: 'r' } } as const,
      ];
      run = reply(run, { calls: asked, closing: 'repeated-calls' });
    }
    run = reply(run, asking(['lookupOrder'], 'same'));
    assert.equal(endOf(decide(run, EARLY)).outcome.kind, 'failed');
  });

  it('end a run of an earlier build at once, as they did', () => {
    let run = begin({ goals: [] });
    for (let calls = 0; calls < 5; calls += 1) run = hear(turn(run, { lookupOrder: { tells: 'a' } }, 'same'));
    assert.equal(closingOf(decide(run, EARLY)), undefined);
    const { outcome, exit } = endOf(decide(reply(run, asking(['lookupOrder'], 'same')), EARLY));
    assert.deepEqual([outcome.kind, exit], ['failed', { reason: 'repeated-calls' }]);
  });

  it('are not named where an answer did not fit its schema', () => {
    let run = begin(CLOSES);
    for (let answers = 0; answers < 2; answers += 1) run = hear(reply(run, { misfit: 'age: expected a number' }));
    const { outcome, exit } = endOf(decide(run, EARLY));
    assert.deepEqual([outcome.kind === 'failed' && outcome.cause, exit], ['validation', undefined]);
  });
});

describe('a decision of a person', () => {
  it('is news', () => {
    const asked = reply({ ...stale(4, CLOSES) }, asking(['lookupOrder', 'issueRefund'], 'new'));
    const results = [{ index: 0, result: { outcome: 'ok', ref: 'r', tells: 'a' } as const }];
    const called: Observation = { kind: 'tools-called', results, trouble: null, retriesBefore: 0, activeMs: MS };
    const settled: Observation = { kind: 'approval-settled', index: 1, result: { kind: 'rejected', ref: 'no' } };
    assert.equal(evolve(evolve(asked, called), settled).news?.staleTurns, 0);
  });
});

describe('the deadline', () => {
  it('closes the run when no whole turn and closing call fit before it any more', () => {
    assert.deepEqual([at(-2_301), at(-2_299), at(100)], [undefined, 'deadline', 'deadline']);
  });

  it('goes by the slowest of few turns, and not by one among many', () => {
    const slow = reply(twoTurns(), asking(['lookupOrder'], 'slow'), 10_000);
    const closed = evolve(slow, { kind: 'tools-called', results: [], trouble: null, retriesBefore: 0, activeMs: 0 });
    assert.equal(at(-15_000, { ...closed, calls: [] }), 'deadline');
    let many = { ...closed, calls: [] } as Run;
    for (let turns = 0; turns < 15; turns += 1) many = turn(many, { lookupOrder: { tells: `n${turns}` } });
    assert.equal(at(-15_000, many), 'deadline');
    for (let turns = 15; turns < 18; turns += 1) many = turn(many, { lookupOrder: { tells: `n${turns}` } });
    assert.equal(at(-15_000, many), undefined);
  });

  it('closes nothing before the first turn, without a clock, or in a plan of a build before', () => {
    assert.deepEqual(
      [
        at(0, begin({ goals: [] })),
        closingOf(decide(twoTurns(), { isHistoryLong: false })),
        at(0, turn(begin(null), { lookupOrder: {} })),
      ],
      [undefined, undefined, undefined],
    );
  });

  it('does not stop for a summary any more', () => {
    const long = { ...twoTurns(), compaction: { kind: 'due', through: 1, was: 'long' } } as const;
    assert.deepEqual([at(-9_999, long), at(-1, long)], ['compact', 'deadline']);
    assert.equal(at(-1, { ...long, compaction: { kind: 'due', through: 1, was: 'refused' } }), 'compact');
  });

  it('is named as the reason of an end that came before it', () => {
    const answer = { ref: 'a', preview: 'What there is.' };
    const end = endOf(decide(reply(twoTurns(), { answer, closing: 'deadline' }), { isHistoryLong: false, now: -1 }));
    assert.deepEqual([end.outcome, end.answer, end.exit], [{ kind: 'completed' }, answer, { reason: 'deadline' }]);
  });
});
