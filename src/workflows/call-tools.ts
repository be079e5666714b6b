import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { ExecuteToolInput } from '../domain/run/activity-inputs.ts';
import type { Decision } from '../domain/run/decision.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { ActivityTrouble, ToolResult, Worked } from '../domain/run/results.ts';
import type { PendingCall } from '../domain/run/run.ts';
import { describeCall } from '../domain/run/views.ts';
import { activityOptions } from './activity-options.ts';
import { troubleOf } from './activity-trouble.ts';
import type { ActiveMs } from './active-time.ts';
import type { Shell } from './shell.ts';

type CallTools = Decision & { kind: 'call-tools' };
type ToolActivities = { readonly [activityType: string]: (input: ExecuteToolInput) => Promise<ToolResult & Worked> };
/** A call that was called off has neither. */
type Called = { readonly index: number; readonly result?: ToolResult & Worked; readonly trouble?: ActivityTrouble };

/** Makes the calls of one group at once: reads together, or a single write. One that gives no result does not take the others' with it. */
export async function callTools(
  shell: Shell,
  { turn, calls }: CallTools,
  activeMs: ActiveMs,
): Promise<Observation & { readonly kind: 'tools-called' }> {
  const retriesBefore = shell.run.retries;
  const called = await Promise.all(calls.map((call) => callTool(shell, turn, call)));
  const trouble = called.find((each) => each.trouble !== undefined)?.trouble;
  return {
    kind: 'tools-called',
    results: called.flatMap(({ index, result }) => (result === undefined ? [] : [{ index, result }])),
    trouble: trouble ?? null,
    retriesBefore,
    activeMs: activeMs(...called.map(({ result }) => result)),
  };
}

async function callTool({ run }: Shell, turn: number, call: PendingCall): Promise<Called> {
  const { index, argsHash } = call;
  const planned = run.plan?.tools[call.tool];
  if (planned === undefined) throw new Error(`the plan has no tool ${call.tool}`);
  const isBlocked = run.blocked !== null;
  const tools = proxyActivities<ToolActivities>(
    activityOptions({
      workMs: planned.timeoutMs,
      taskQueue: planned.taskQueue,
      summary: `turn ${turn}: ${describeCall(call)}`,
      deadlineAt: isBlocked ? run.start.deadlineAt : null,
    }),
  );
  const input: ExecuteToolInput = {
    tenant: run.start.tenant,
    turn,
    index,
    ...('args' in call ? { args: call.args } : { argsRef: call.argsRef }),
    argsHash,
    contract: planned.contract,
    ...(call.approval === undefined ? {} : { approval: call.approval.id }),
    ...(isBlocked ? { patient: true } : {}),
  };
  try {
    const activity = tools[planned.activity];
    if (activity === undefined) throw new Error(`no activity ${planned.activity}`);
    return { index, result: await activity(input) };
  } catch (error) {
    return isCancellation(error) ? { index } : { index, trouble: troubleOf(error) };
  }
}
