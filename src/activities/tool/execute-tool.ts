import { activityInfo } from '@temporalio/activity';
import type { Parsed, Tool } from '../../authoring/define-tool.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { ExecuteToolInput } from '../../domain/run/activity-inputs.ts';
import type { ToolResult } from '../../domain/run/results.ts';
import { contentHash, hashId } from '../../domain/sha-256.ts';
import { contractHash, isWrite } from '../../domain/tool/contract.ts';
import { contractDrift } from '../../domain/tool/drift.ts';
import { judgeCall } from '../../domain/policy/approval-policy.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { callRead } from './call-read.ts';
import { findToken, letCallWait } from './defer-call.ts';
import { sendWrite } from './send-write.ts';
import { servedTool } from './served-tool.ts';
import type { ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/**
 * Makes one tool call: finds the tool by the activity's type, holds its contract against the pinned one, parses the arguments, checks
 * policy and approval again, and calls it. Whatever the model can act on is a result, never a failure. A write that the ledger knows is
 * settled there first: an earlier attempt may have sent it before the build changed, and then it is not true that it was not called.
 */
export async function executeTool(dependencies: ActivityDependencies, input: ExecuteToolInput): Promise<ToolResult> {
  return runActivity(input, async () => {
    const { stores } = dependencies;
    const facts = await stores.runs.factsOf(input.tenant, agentRunIdOfActivity());
    const tool = servedTool(dependencies, facts, activityInfo().activityType);
    const args = await readArguments(dependencies, facts, input);
    const parsed = tool.parseInput(args);
    const asked = { tenant: input.tenant, facts, tool, request: input };
    const refusal = await refusalOf(dependencies, asked, parsed);
    const mayBeWrite = isWrite(tool.contract.effect) || refusal !== null;
    const begunKey = mayBeWrite ? await keyInLedger(dependencies, asked) : null;
    if (begunKey === null && refusal !== null) {
      return { outcome: 'error', ref: await writeResult(stores, asked, { isError: true, output: refusal }) };
    }
    const parsedInput = parsed.kind === 'ok' ? parsed.input : args;
    const key = begunKey ?? effectKey(facts, tool, input, parsedInput);
    const token = await findToken(dependencies, asked, refusal);
    const call: ToolCall = { ...asked, input: parsedInput, key, refusal, token };
    const result = await (mayBeWrite ? sendWrite(dependencies, call) : callRead(dependencies, call));
    return letCallWait(dependencies, call, result);
  });
}

type AskedCall = Omit<ToolCall, 'input' | 'key' | 'refusal' | 'token'>;

/** Says why a call may not be made, in words for the model. Null when it may. */
async function refusalOf(dependencies: ActivityDependencies, call: AskedCall, parsed: Parsed): Promise<string | null> {
  const { name, effect } = call.tool.contract;
  const drift = await driftOf(dependencies, call);
  if (drift !== null) return `The tool ${name} has changed since this run began: ${drift}. It was not called.`;
  if (parsed.kind === 'invalid') return `The arguments of ${name} are not valid. ${parsed.message}`;
  return isWrite(effect) ? authorityProblem(dependencies, call, parsed.input) : null;
}

/** An attempt before may have sent under a key that the tool of this build would compute differently. */
async function keyInLedger(
  { stores }: ActivityDependencies,
  { tenant, facts, request }: AskedCall,
): Promise<string | null> {
  const { turn, index, argsHash } = request;
  return stores.effects.keyOf(tenant, { root: facts.root, turn, callIndex: index, argsHash });
}

/** A tool's business key makes its effect once across runs; otherwise the position in the lineage and the arguments do. */
function effectKey(facts: RunFacts, tool: Tool, { turn, index, argsHash }: ExecuteToolInput, input: JsonValue): string {
  if (tool.businessKey !== null) return hashId('business', tool.contract.name, tool.businessKey(input));
  return hashId('position', facts.root, String(turn), String(index), argsHash);
}

async function driftOf({ stores }: ActivityDependencies, { facts, tool, request }: AskedCall): Promise<string | null> {
  if (contractHash(tool.contract) === request.contract) return null;
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
  { facts, tool, request }: AskedCall,
  input: JsonValue,
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
