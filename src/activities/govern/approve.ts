import type { JsonValue } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { RequestApprovalInput, SettleApprovalInput } from '../../domain/run/activity-inputs.ts';
import type { ApprovalResult } from '../../domain/run/results.ts';
import type { PendingCall } from '../../domain/run/run.ts';
import { toolActivityType } from '../../domain/tool/contract.ts';
import { contentHash } from '../../domain/sha-256.ts';
import type { ApprovalSettlement, StandingApproval } from '../../stores/approvals.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { findTool } from '../tool/find-tool.ts';
import { toolCallId } from '../tool/tool-call-id.ts';

/** Puts a call before a person. Gives the deadline in milliseconds since the epoch, the same however often it is asked. */
export async function requestApproval(
  dependencies: ActivityDependencies,
  input: RequestApprovalInput,
): Promise<number> {
  return runActivity(input, async () => {
    const { stores } = dependencies;
    const { tenant, turn, call } = input;
    const facts = await stores.runs.factsOf(tenant, agentRunIdOfActivity());
    const { verdict } = call;
    if (verdict.kind !== 'approve') throw new Error(`call ${call.index} of turn ${turn} needs no approval`);
    return stores.approvals.request(tenant, {
      id: approvalIdOf(call),
      runId: facts.id,
      turn,
      callIndex: call.index,
      tool: call.tool,
      argsHash: call.argsHash,
      argsRef: await argumentsRef(dependencies, tenant, facts, turn, call),
      rule: verdict.rule,
      release: facts.release,
      deadlineMs: verdict.deadlineMs,
      onExpiry: verdict.onExpiry,
    });
  });
}

/**
 * Writes what was decided, bound to the hash of the arguments, and what the model will read of it. What an earlier attempt wrote stands,
 * whatever this one would make of it.
 */
export async function settleApproval(
  dependencies: ActivityDependencies,
  input: SettleApprovalInput,
): Promise<ApprovalResult> {
  return runActivity(input, async () => {
    const { tenant, call } = input;
    const { approvals, runs } = dependencies.stores;
    const id = approvalIdOf(call);
    const facts = await runs.factsOf(tenant, agentRunIdOfActivity());
    const before = await approvals.standing(tenant, id);
    if (before.state !== 'pending') return resultOf(before);
    const outcome = await outcomeOf(dependencies, input, facts);
    if (outcome.kind === 'invalid-edit') return outcome;
    return resultOf(await approvals.settle(tenant, { ...outcome.settlement, id }));
  });
}

/** Reads from the row what the run goes on with. */
function resultOf(approval: StandingApproval): ApprovalResult {
  const { state, argsHash, approvedHash, approvedRef, resultRef } = approval;
  if (state === 'approved' && approvedHash !== null) {
    const isEdited = approvedHash !== argsHash && approvedRef !== null;
    return { kind: 'approved', argsHash: approvedHash, ...(isEdited ? { edited: { argsRef: approvedRef } } : {}) };
  }
  if (state === 'pending' || state === 'approved' || resultRef === null) {
    throw new Error(`the approval stands as ${state}, which settles nothing`);
  }
  return { kind: state, ref: resultRef };
}

type Settled = {
  readonly kind: 'settled';
  readonly settlement: Omit<ApprovalSettlement, 'id'>;
};

async function outcomeOf(
  dependencies: ActivityDependencies,
  { tenant, turn, call, decision }: SettleApprovalInput,
  facts: RunFacts,
): Promise<Settled | (ApprovalResult & { kind: 'invalid-edit' })> {
  const decided = {
    principal: decision?.principal ?? 'perdure',
    messageId: decision?.id ?? null,
    reason: null,
    approvedHash: null,
    approvedRef: null,
    resultRef: null,
  };
  const answer = (output: string, isError: boolean): Promise<string> =>
    dependencies.stores.transcripts.writePart(tenant, facts.scope, resultPart(turn, call, output, isError));
  const approve = async (): Promise<Settled> => ({
    kind: 'settled',
    settlement: {
      ...decided,
      state: 'approved',
      approvedHash: call.argsHash,
      approvedRef: await argumentsRef(dependencies, tenant, facts, turn, call),
    },
  });
  if (decision === null) {
    if (call.verdict.kind === 'approve' && call.verdict.onExpiry === 'approve') return approve();
    const ref = await answer(`Nobody approved ${call.tool} in time. It was not done.`, true);
    return { kind: 'settled', settlement: { ...decided, state: 'expired', resultRef: ref } };
  }
  switch (decision.decision.kind) {
    case 'approve':
      return approve();
    case 'edit':
      return settleEdit(dependencies, { tenant, turn, call, facts, edited: decision.decision.arguments, decided });
    case 'reject': {
      const { reason } = decision.decision;
      const ref = await answer(`${decision.principal} rejected the call. Reason: ${reason}`, true);
      return { kind: 'settled', settlement: { ...decided, state: 'rejected', reason, resultRef: ref } };
    }
    case 'respond': {
      const { text } = decision.decision;
      const ref = await answer(text, false);
      return { kind: 'settled', settlement: { ...decided, state: 'responded', resultRef: ref } };
    }
  }
}

/** Edited arguments are parsed like the model's; those that do not parse leave the approval pending. */
async function settleEdit(
  dependencies: ActivityDependencies,
  edit: {
    readonly tenant: string;
    readonly turn: number;
    readonly call: PendingCall;
    readonly facts: RunFacts;
    readonly edited: JsonValue;
    readonly decided: Omit<ApprovalSettlement, 'id' | 'state'>;
  },
): Promise<Settled | (ApprovalResult & { kind: 'invalid-edit' })> {
  const { tenant, turn, call, facts, edited, decided } = edit;
  const { tools } = await dependencies.stores.releases.get(facts.release);
  const pinned = tools.find(({ name }) => name === call.tool);
  const agent = dependencies.agents.get(facts.agent);
  const tool = pinned === undefined ? undefined : findTool(agent, toolActivityType(pinned));
  const parsed = tool?.parseInput(edited) ?? { kind: 'invalid', message: `this worker has no tool ${call.tool}` };
  if (parsed.kind === 'invalid') return { kind: 'invalid-edit', message: parsed.message };
  const { input } = parsed;
  const argsHash = contentHash(input);
  const ref = await writeArguments(dependencies, tenant, facts, turn, call, input);
  return {
    kind: 'settled',
    settlement: { ...decided, state: 'approved', approvedHash: argsHash, approvedRef: ref },
  };
}

async function argumentsRef(
  dependencies: ActivityDependencies,
  tenant: string,
  facts: RunFacts,
  turn: number,
  call: PendingCall,
): Promise<string> {
  return 'args' in call ? writeArguments(dependencies, tenant, facts, turn, call, call.args) : call.argsRef;
}

async function writeArguments(
  { stores }: ActivityDependencies,
  tenant: string,
  facts: RunFacts,
  turn: number,
  call: PendingCall,
  input: JsonValue,
): Promise<string> {
  return stores.transcripts.writePart(tenant, facts.scope, {
    kind: 'tool-call',
    toolCallId: toolCallId(turn, call.index),
    toolName: call.tool,
    input,
  });
}

function approvalIdOf(call: PendingCall): string {
  if (call.approval === undefined) throw new Error(`call ${call.index} has no approval`);
  return call.approval.id;
}

function resultPart(turn: number, call: PendingCall, output: string, isError: boolean): MessagePart {
  return { kind: 'tool-result', toolCallId: toolCallId(turn, call.index), toolName: call.tool, isError, output };
}
