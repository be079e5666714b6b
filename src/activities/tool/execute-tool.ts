import { activityInfo } from '@temporalio/activity';
import type { Tool } from '../../authoring/define-tool.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { ExecuteToolInput } from '../../domain/run/activity-inputs.ts';
import type { ToolResult } from '../../domain/run/results.ts';
import { contentHash, hashId } from '../../domain/sha-256.ts';
import { contractHash, isWrite } from '../../domain/tool/contract.ts';
import { contractDrift } from '../../domain/tool/drift.ts';
import { judgeCall } from '../../domain/policy/approval-policy.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { toApplicationFailure } from '../failures.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { callRead } from './call-read.ts';
import { findTool } from './find-tool.ts';
import { sendWrite } from './send-write.ts';
import type { ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/**
 * Makes one tool call: finds the tool by the activity's type, holds its contract against the pinned one, parses the arguments, checks
 * policy and approval again, and calls it. Whatever the model can act on is a result, never a failure.
 */
export async function executeTool(dependencies: ActivityDependencies, input: ExecuteToolInput): Promise<ToolResult> {
  return runActivity(input, async () => {
    const { stores } = dependencies;
    const facts = await stores.runs.factsOf(input.tenant, agentRunIdOfActivity());
    const tool = servedTool(dependencies, facts);
    const refuse = async (output: string): Promise<ToolResult> => ({
      outcome: 'error',
      ref: await writeResult(stores, { tenant: input.tenant, facts, tool, request: input }, { isError: true, output }),
    });
    const drift = await driftOf(dependencies, facts, tool, input.contract);
    if (drift !== null)
      return refuse(`The tool ${tool.contract.name} has changed since this run began: ${drift}. It was not called.`);
    const parsed = tool.parseInput(await readArguments(dependencies, facts, input));
    if (parsed.kind === 'invalid')
      return refuse(`The arguments of ${tool.contract.name} are not valid. ${parsed.message}`);
    const call: ToolCall = {
      tenant: input.tenant,
      facts,
      tool,
      input: parsed.input,
      request: input,
      key: effectKey(facts, tool, input, parsed.input),
    };
    if (!isWrite(tool.contract.effect)) return callRead(dependencies, call);
    const problem = await authorityProblem(dependencies, call);
    return problem === null ? sendWrite(dependencies, call) : refuse(problem);
  });
}

/** A tool's business key makes its effect once across runs; otherwise the position in the lineage and the arguments do. */
function effectKey(facts: RunFacts, tool: Tool, { turn, index, argsHash }: ExecuteToolInput, input: JsonValue): string {
  if (tool.businessKey !== null) return hashId('business', tool.contract.name, tool.businessKey(input));
  return hashId('position', facts.root, String(turn), String(index), argsHash);
}

function servedTool({ agents }: ActivityDependencies, facts: RunFacts): Tool {
  const { activityType } = activityInfo();
  const tool = findTool(agents.get(facts.agent), activityType);
  if (tool !== undefined) return tool;
  const message = `no worker serves the tool ${activityType} of the agent ${facts.agent}`;
  const mend = `Start a worker that has ${activityType}; the run then goes on by itself.`;
  throw toApplicationFailure(
    { cause: 'tool-missing', disposition: 'mendable', message, mend, sent: 'no' },
    { retryable: false },
  );
}

async function driftOf(
  { stores }: ActivityDependencies,
  facts: RunFacts,
  tool: Tool,
  pinned: string,
): Promise<string | null> {
  if (contractHash(tool.contract) === pinned) return null;
  const release = await stores.releases.get(facts.release);
  const contract = release.tools.find((candidate) => candidate.name === tool.contract.name);
  return contract === undefined ? 'it is not part of the release' : contractDrift(contract, tool.contract);
}

async function readArguments(
  { stores }: ActivityDependencies,
  facts: RunFacts,
  input: ExecuteToolInput,
): Promise<JsonValue> {
  if ('args' in input) return input.args;
  const part = await stores.transcripts.readPart(input.tenant, facts.scope, input.argsRef);
  if (part.kind !== 'tool-call') throw new Error(`segment ${input.argsRef} holds no arguments`);
  return part.input;
}

/** Policy is asked again where the write happens: what reaches here without the approval it needs is refused. */
async function authorityProblem(
  { stores }: ActivityDependencies,
  { facts, tool, input, request }: ToolCall,
): Promise<string | null> {
  if (contentHash(input) !== request.argsHash) {
    return `The arguments of ${tool.contract.name} are not those that policy has seen. The call was not made.`;
  }
  if (request.approval !== undefined) return null;
  const { approvals } = await stores.releases.get(facts.release);
  const verdict = judgeCall(approvals, { tool: tool.contract.name, effect: tool.contract.effect, input });
  if (verdict.kind === 'allow') return null;
  return `The call needs an approval (${verdict.rule}) and has none. It was not made.`;
}
