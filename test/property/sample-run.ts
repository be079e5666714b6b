import type { RunPlan } from '../../src/domain/run/plan.ts';
import type { RunKind, RunStart } from '../../src/domain/run/start.ts';

const TOOLS: RunPlan['tools'] = {
  lookupOrder: tool('lookupOrder', 'read'),
  checkStock: tool('checkStock', 'read'),
  addNote: tool('addNote', 'idempotent-write'),
  sendEmail: tool('sendEmail', 'write'),
  issueRefund: tool('issueRefund', 'irreversible'),
};

/** A start with everything filled in. */
export function sampleStart(kind: RunKind, whenExhausted: 'wait' | 'end'): RunStart {
  return {
    tenant: 'acme',
    principal: 'ann',
    agent: 'support',
    input: 'hello',
    startKey: 'key-1',
    kind,
    mode: 'live',
    deadlineAt: 0,
    whenExhausted,
  };
}

/** A plan that generated runs reach the limits of. */
export function samplePlan(change: Partial<RunPlan> = {}): RunPlan {
  return {
    release: 'release-1',
    limits: { costPico: '4000', tokens: 4_000, turns: 25, toolCalls: 40, activeMs: 4_000 },
    tools: TOOLS,
    modelQueue: 'perdure-models',
    modelTimeoutMs: 60_000,
    turnsPerExecution: 3,
    revisionsMax: null,
    ...change,
  };
}

/** Tells whether a call of the sample plan writes. */
export function isSampleWrite(name: string): boolean {
  return TOOLS[name] !== undefined && TOOLS[name].effect !== 'read';
}

function tool(name: string, effect: RunPlan['tools'][string]['effect']): RunPlan['tools'][string] {
  return {
    activity: `${name}@1`,
    contract: name.padEnd(22, 'x'),
    effect,
    execution: 'queued',
    taskQueue: 'perdure-tools',
    timeoutMs: 10_000,
  };
}
