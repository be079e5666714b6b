import type { JsonValue } from '../../domain/json.ts';
import type { SettleDeferredInput } from '../../domain/run/activity-inputs.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { DeferredSettlement, StandingDeferred } from '../../stores/deferred-calls.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { servedTool } from './served-tool.ts';
import { writeResult } from './tool-result.ts';

/** What the model reads, and how the call then stands. */
type Settled = Pick<DeferredSettlement, 'state'> & { readonly output: JsonValue };

/**
 * Writes the result of a deferred call, which came from outside, or that none came in time. A result that the tool's output schema refuses is
 * an error that the model reads. What an earlier attempt wrote stands. Gives the reference of the result.
 */
export async function settleDeferred(dependencies: ActivityDependencies, input: SettleDeferredInput): Promise<string> {
  return runActivity(input, async () => {
    const { stores } = dependencies;
    const { tenant, token, completion } = input;
    const runId = agentRunIdOfActivity();
    const call = await stores.deferredCalls.standing(tenant, token);
    if (call.runId !== runId) throw new Error(`the token of run ${call.runId} was taken for one of ${runId}`);
    if (call.resultRef !== null) return call.resultRef;
    const facts = await stores.runs.factsOf(tenant, runId);
    const { state, output } = settledAs(dependencies, facts, call, completion);
    const ref = await writeResult(
      stores,
      {
        tenant,
        facts,
        tool: { contract: { name: nameOf(call) } },
        request: { turn: call.turn, index: call.callIndex },
      },
      { isError: state !== 'completed', output },
    );
    return stores.deferredCalls.settle(tenant, token, {
      state,
      ref,
      principal: completion?.principal ?? 'perdure',
      messageId: completion?.id ?? null,
    });
  });
}

function settledAs(
  dependencies: ActivityDependencies,
  facts: RunFacts,
  call: StandingDeferred,
  completion: SettleDeferredInput['completion'],
): Settled {
  const name = nameOf(call);
  if (completion === null) {
    const until = call.deadlineAt.toISOString();
    return { state: 'expired', output: `${name} was begun, but no result of it came until ${until}.` };
  }
  const { result } = completion;
  if ('error' in result) return { state: 'failed', output: result.error };
  const { deferred } = servedTool(dependencies, facts, call.tool);
  // A build in which the tool gives its result itself has the schema of another thing.
  const parsed = deferred?.parseOutput(result.output) ?? {
    kind: 'invalid',
    message: 'the tool takes no result any more',
  };
  if (parsed.kind === 'ok') return { state: 'completed', output: parsed.output };
  const { message } = parsed;
  return { state: 'invalid', output: `The result that came of ${name} is not in its documented shape: ${message}` };
}

/** The name that the model knows the tool by. */
function nameOf({ tool }: StandingDeferred): string {
  return tool.split('@', 1)[0] ?? tool;
}
