// Goal: a run is closed for what it is worth only where earlier runs show that going on cannot pay, and never by chance or by too few of them.
// Method: tables of earlier ends with the odds they give, and runs that were really worth going on with, drawn from a known chance.
import assert from 'node:assert/strict';
import { decide } from '../../../src/domain/run/decide.ts';
import { evolve } from '../../../src/domain/run/evolve.ts';
import { exitProblem } from '../../../src/domain/run/exit-policy.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import { type EndsAlike, isNotWorthwhile, oddsOf, type WorthPlan } from '../../../src/domain/run/worth.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const ends = (turns: number, runs: number, rest: Partial<EndsAlike> = {}): EndsAlike => ({
  turns,
  runs,
  kind: 'completed',
  cause: null,
  isOthers: false,
  exit: null,
  ...rest,
});
const failed = (turns: number, runs: number): EndsAlike => ends(turns, runs, { kind: 'budget-exhausted' });

describe('the odds of a run', () => {
  it('are the upper Wilson bound of the share of the runs that went further and succeeded', () => {
    const odds = oddsOf([ends(2, 60), failed(5, 40)], false);
    // 60 of 100 after 0 and 1 turns, none of 40 after 2; nobody made more than 5.
    assert.deepEqual(odds, {
      steps: [
        [0, 676_929],
        [2, 63_365],
      ],
      until: 5,
    });
  });

  it('are not known from fewer than twenty runs that went further', () => {
    assert.equal(oddsOf([], false), null);
    assert.equal(oddsOf([failed(9, 19)], false), null);
    assert.deepEqual(oddsOf([failed(9, 20)], false), { steps: [[0, 119_177]], until: 9 });
    assert.equal(oddsOf([failed(3, 1), failed(9, 20)], false)?.until, 9);
    assert.equal(oddsOf([failed(3, 5), failed(9, 19)], false)?.until, 3);
  });

  it('count as a success what met a goal, where the agent names one, and otherwise an answer of the model itself', () => {
    const some = [ends(3, 30, { exit: 'goal' }), ends(3, 30)];
    assert.deepEqual(oddsOf(some, false)?.steps, oddsOf([ends(3, 30), failed(3, 30)], false)?.steps);
    assert.deepEqual(oddsOf(some, true)?.steps, oddsOf([ends(3, 30), failed(3, 30)], false)?.steps);
    assert.deepEqual(
      oddsOf([ends(3, 30, { exit: 'no-new-information' }), ends(3, 30, { exit: 'deadline' })], false)?.steps,
      oddsOf([failed(3, 60)], false)?.steps,
    );
  });

  for (const [what, rest] of [
    ['were closed by these odds themselves', { exit: 'expected-value' }],
    ['were called off', { kind: 'cancelled' }],
    ['were refused', { kind: 'refused' }],
    ['failed for their provider', { kind: 'failed', cause: 'model-quota' }],
    ['met the cap of another account', { kind: 'budget-exhausted', isOthers: true }],
  ] as const) {
    it(`leave out runs that ${what}`, () => {
      assert.deepEqual(oddsOf([failed(4, 30), ends(4, 500, rest)], false), oddsOf([failed(4, 30)], false));
    });
  }

  it('are few however many lengths there were, and never worse for it', () => {
    const lengths = Array.from({ length: 400 }, (_, index) => (index % 3 === 0 ? ends : failed)(index + 1, 1));
    const odds = oddsOf(lengths, false) ?? assert.fail('no odds');
    assert.ok(odds.steps.length <= LIMITS.worthStepsMax);
    for (const [turns, millionths] of odds.steps) {
      const later = lengths.filter((each) => each.turns > turns);
      const share = later.filter(({ kind }) => kind === 'completed').length / later.length;
      assert.ok(millionths >= share * 1_000_000);
    }
  });

  it('close few of the runs that are worth going on with, whatever chance they have', () => {
    // The value is what makes the chance and the cost equal, so that each close is a mistake; summed over all that chance can make of the earlier runs.
    for (const runs of [20, 50, 100, 400]) {
      for (let percent = 1; percent <= 90; percent += 1) {
        const mistaken = Array.from({ length: runs + 1 }, (_, successes) => {
          const odds = oddsOf([ends(3, successes), failed(3, runs - successes)], false) ?? assert.fail('no odds');
          return isNotWorthwhile({ valuePico: '100', odds }, 1, [String(percent)])
            ? likelihood(successes, runs, percent / 100)
            : 0;
        }).reduce((all, each) => all + each, 0);
        assert.ok(
          mistaken <= 0.12,
          `${mistaken} of those with a chance of ${percent} % are closed by ${runs} earlier ones`,
        );
      }
    }
  });
});

/** Of so many runs with a chance each, how likely so many successes are. */
function likelihood(successes: number, runs: number, chance: number): number {
  let logarithm = successes * Math.log(chance) + (runs - successes) * Math.log(1 - chance);
  for (let n = 1; n <= successes; n += 1) logarithm += Math.log((runs - successes + n) / n);
  return Math.exp(logarithm);
}

/** Turns that cost so much each. */
const spend = (costs: readonly number[], exit: NonNullable<Parameters<typeof samplePlan>[0]>['exit']): Run => {
  const limits = { costPico: '1000000', tokens: 1e9, turns: 999, toolCalls: 999, activeMs: 1e9 };
  const plan = samplePlan({ limits, turnsPerExecution: 50, ...(exit === undefined ? {} : { exit }) });
  let run = evolve(openRun('run-1', sampleStart('single', 'end')), {
    kind: 'admitted',
    result: { kind: 'admitted', plan },
  });
  run = { ...run, waiting: [] };
  let total = 0;
  for (const [index, cost] of costs.entries()) {
    total += cost;
    const calls = [{ tool: 'lookupOrder', args: null, argsHash: `a${index}`, verdict: { kind: 'allow' } }] as const;
    const result = {
      kind: 'replied',
      head: 'h',
      heard: 0,
      calls,
      total: { costPico: String(total), tokens: 1 },
      model: 'm',
    } as const;
    run = evolve(run, { kind: 'model-called', result, activeMs: 1 });
    const results = [{ index: 0, result: { outcome: 'ok', ref: `r${index}`, tells: `t${index}` } as const }];
    run = evolve(run, { kind: 'tools-called', results, trouble: null, retriesBefore: 0, activeMs: 1 });
  }
  return run;
};
const closing = (run: Run) => {
  const decision = decide(run, { isHistoryLong: false });
  return decision.kind === 'call-model' ? decision.closing : decision.kind;
};

describe('a run that is worth something', () => {
  const worth: WorthPlan = {
    valuePico: '1000',
    odds: {
      steps: [
        [0, 500_000],
        [2, 100_000],
      ],
      until: 4,
    },
  };

  it('is closed where chance times value is below the mean cost of its newest turns', () => {
    for (const [turns, costs, expected] of [
      [1, ['500'], false],
      [1, ['501'], true],
      [2, ['100', '100'], false],
      [2, ['100', '101'], true],
      [3, ['0', '101'], false],
      [4, ['9999'], false],
      [2, [], false],
      [2, ['0'], false],
    ] as const) {
      assert.equal(isNotWorthwhile(worth, turns, costs), expected, `${turns} turns, ${costs.join(' ')}`);
    }
  });

  it('says so, and ends with what it has', () => {
    const exit = { goals: [], polls: [], worth };
    assert.deepEqual([closing(spend([500], exit)), closing(spend([10, 80], exit))], [undefined, undefined]);
    const run = spend([10, 300], exit);
    assert.deepEqual([run.costs, closing(run)], [['10', '300'], 'expected-value']);
    const answer = { ref: 'a', preview: 'What there is.' };
    const result = {
      kind: 'replied',
      head: 'h',
      heard: 1,
      calls: [],
      answer,
      total: run.total,
      model: 'm',
      closing: 'expected-value',
    } as const;
    const decision = decide(evolve(run, { kind: 'model-called', result, activeMs: 1 }), { isHistoryLong: false });
    assert.ok(decision.kind === 'end');
    assert.deepEqual([decision.end.outcome, decision.end.exit], [{ kind: 'completed' }, { reason: 'expected-value' }]);
  });

  it('goes on where its plan names no worth, and notes no costs', () => {
    const run = spend([999_999], { goals: [], polls: [] });
    assert.deepEqual([run.costs, closing(spend([10], undefined))], [undefined, undefined]);
  });

  it('keeps the costs of its newest turns alone', () => {
    const exit = { goals: [], polls: [], worth: { ...worth, valuePico: '1000000000' } };
    assert.deepEqual(spend([1, 2, 3, 4, 5, 6, 7], exit).costs, ['3', '4', '5', '6', '7']);
  });
});

describe('what an agent says of early exits', () => {
  const tools = [
    { name: 'look', effect: 'read' },
    { name: 'pay', effect: 'write' },
  ];
  for (const [what, spec, problem] of [
    ['a goal that is no tool', [{ tool: 'fly' }], /exit names the tool fly/],
    ['a poll that is no tool', { polls: ['fly'] }, /exit names the tool fly/],
    ['a poll that writes', { polls: ['pay'] }, /names pay, which is no read/],
    ['a value of nothing', { valueUsd: 0 }, /valueUsd must be an amount above 0/],
    ['a value that is no number', { valueUsd: Number.NaN }, /valueUsd must be an amount above 0/],
  ] as const) {
    it(`refuses ${what}`, () => assert.match(exitProblem(spec, tools) ?? '', problem));
  }

  it('takes all of it', () => {
    assert.equal(exitProblem({ goals: [{ tool: 'pay' }], polls: ['look'], valueUsd: 0.5 }, tools), null);
    assert.equal(exitProblem([{ tool: 'pay' }], tools), null);
    assert.equal(exitProblem(undefined, tools), null);
  });
});
