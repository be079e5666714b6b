// Goal: what Temporal says of an execution is judged as stuck where it is, and only there.
// Method: a table of facts, each with the reason that is expected, or none.
import assert from 'node:assert/strict';
import { type ExecutionFacts, judgeStuck, type StuckReason } from '../../src/domain/run/stuck.ts';

type Open = Extract<ExecutionFacts, { kind: 'open' }>;

const idle: Open = {
  kind: 'open',
  phase: 'running',
  workflowTask: null,
  activities: [],
  idleMs: 20_000,
  hasChildren: false,
};
const task = { attempt: 1, waitsMs: null, taskQueue: 'q', isServed: null, failure: null };
const activity = { ...task, type: 'callModel' };
const thrown = { kind: 'thrown', message: 'planted' } as const;
const killed = { kind: 'timed-out', message: 'activity Heartbeat timeout' } as const;
const failed = { kind: 'failed', message: 'no database' } as const;

const CASES: readonly (readonly [string, ExecutionFacts, StuckReason | null])[] = [
  ['an execution that was terminated', { kind: 'gone', how: 'was terminated' }, 'execution-gone'],
  ['nothing pending for a moment', idle, null],
  ['nothing pending for long', { ...idle, idleMs: 31_000 }, 'nothing-pending'],
  ['nothing pending but a child', { ...idle, idleMs: 31_000, hasChildren: true }, null],
  ['nothing pending while it waits for a person', { ...idle, phase: 'waiting', idleMs: 1e9 }, null],
  ['a workflow task at work', { ...idle, idleMs: 1e6, workflowTask: task }, null],
  ['a workflow task that was lost twice', { ...idle, workflowTask: { ...task, attempt: 2 } }, null],
  ['a failing task', { ...idle, workflowTask: { ...task, attempt: 3, failure: thrown } }, 'workflow-task-failing'],
  [
    'a failing task of a waiting run',
    { ...idle, phase: 'waiting', workflowTask: { ...task, attempt: 3 } },
    'workflow-task-failing',
  ],
  ['a task just scheduled', { ...idle, workflowTask: { ...task, waitsMs: 14_000 } }, null],
  ['a task that nobody takes', { ...idle, workflowTask: { ...task, waitsMs: 16_000 } }, 'no-worker'],
  ['an activity at work for long', { ...idle, idleMs: 1e6, activities: [activity] }, null],
  ['an activity that nobody takes', { ...idle, activities: [activity, { ...activity, waitsMs: 16_000 }] }, 'no-worker'],
  ['an activity of a blocked run', { ...idle, phase: 'blocked', activities: [{ ...activity, waitsMs: 1e6 }] }, null],
  ['an activity that is retried', { ...idle, activities: [{ ...activity, attempt: 20, failure: failed }] }, null],
  [
    'one that should have blocked',
    { ...idle, activities: [{ ...activity, attempt: 21, failure: failed }] },
    'activity-failing',
  ],
  [
    'one that ended five workers',
    { ...idle, activities: [{ ...activity, attempt: 6, failure: killed }] },
    'activity-failing',
  ],
];

describe('judging whether a run is stuck', () => {
  for (const [what, facts, expected] of CASES) {
    it(`${expected === null ? 'lets' : `finds ${expected} in`} ${what}`, () => {
      const stuck = judgeStuck(facts);
      assert.equal(stuck?.reason ?? null, expected);
      if (stuck !== null) assert.match(stuck.mend, /^[A-Z].*\.$/);
    });
  }

  it('names what fails, where it waits, and whether workers were seen there', () => {
    const failing = judgeStuck({ ...idle, workflowTask: { ...task, attempt: 7, failure: thrown } });
    assert.equal(failing?.detail, 'attempt 7 at one workflow task: planted');
    const waiting = { ...activity, waitsMs: 20_400, taskQueue: 'perdure-models' };
    const alone = judgeStuck({ ...idle, activities: [{ ...waiting, isServed: false }] });
    assert.equal(alone?.detail, 'no worker has taken callModel from the queue perdure-models for 20 s');
    assert.match(alone?.mend ?? '', /^No worker polls the queue perdure-models/);
    const busy = judgeStuck({ ...idle, activities: [{ ...waiting, isServed: true }] });
    assert.match(busy?.mend ?? '', /^Workers were seen/);
  });
});
