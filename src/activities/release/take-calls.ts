import type { JsonValue } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Release } from '../../domain/release/release.ts';
import type { TakenCall } from '../../domain/run/taken.ts';
import { hashId } from '../../domain/sha-256.ts';
import { contractDrift } from '../../domain/tool/drift.ts';
import type { CallStanding } from '../../stores/call-standings.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { judgeCall } from '../model/judge-call.ts';
import { notComing } from '../tool/defer-call.ts';
import { toolCallId } from '../tool/tool-call-id.ts';
import type { Stopped } from './take-up.ts';

type Result = { readonly index: number; readonly ref: string };
type Begun = CallStanding & { readonly kind: 'begun' };

export type TakenCalls =
  | { readonly kind: 'calls'; readonly results: readonly Result[]; readonly open: readonly TakenCall[] }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Decides about each call of the turn that a run stopped in. A result that is known is taken. A write of which nobody knows is settled as
 * it was begun. Everything else is judged as today's release judges it, as if the model had asked just now.
 */
export async function takeCalls(
  dependencies: ActivityDependencies,
  tenant: string,
  stopped: Stopped,
): Promise<TakenCalls> {
  const before = await dependencies.stores.releases.get(stopped.run.release);
  const results: Result[] = [];
  const open: TakenCall[] = [];
  for (const { call, standing } of stopped.stop.open) {
    const { index, tool } = call;
    if (standing?.kind === 'result') {
      results.push({ index, ref: standing.ref });
      continue;
    }
    const change = changeOf(before, stopped.admitting.release, tool);
    if (standing?.kind === 'begun') {
      if (change !== null) return { kind: 'refused', reason: notSettled(stopped, call, standing, change) };
      open.push(asBegun(stopped, call, standing));
      continue;
    }
    if (standing?.kind === 'awaited') {
      results.push(await lostResult(dependencies, tenant, stopped, call));
      continue;
    }
    const judged = await judge(dependencies, tenant, stopped, call, change);
    if ('ref' in judged) results.push(judged);
    else open.push(judged);
  }
  return { kind: 'calls', results, open };
}

/** Says how a tool of the last turn differs in today's release; null when today's may stand in for it, or when there was none. */
function changeOf(before: Release, today: Release, name: string): string | null {
  const [pinned, served] = [before, today].map(({ tools }) => tools.find((contract) => contract.name === name));
  if (pinned === undefined) return null;
  return served === undefined ? 'it is not there any more' : contractDrift(pinned, served);
}

function notSettled({ run, stop }: Stopped, { tool }: TakenCall, { key }: Begun, change: string): string {
  return `turn ${stop.turn} of run ${run.id} began ${tool}, and nobody knows yet whether it happened; today's ${run.agent} cannot find out, because ${change}. Bring the tool back as it was, or settle the effect: perdure effect resolve ${key}`;
}

/**
 * The call as it was begun. Its approval holds on under the policy that it was given under; under another one nothing is sent, and only
 * what was sent is settled: no approval stands under the successor's own id.
 */
function asBegun({ admitting, stop, successorId }: Stopped, call: TakenCall, begun: Begun): TakenCall {
  const { args: _args, argsRef: _ref, approval: _approval, ...rest } = { args: undefined, argsRef: undefined, ...call };
  const own = 'args' in call ? { args: call.args } : { argsRef: call.argsRef };
  const asked: TakenCall = {
    ...rest,
    ...(begun.argsRef === null ? own : { argsRef: begun.argsRef }),
    argsHash: begun.argsHash,
  };
  if (call.verdict.kind !== 'approve') return asked;
  const isSamePolicy = begun.approval?.release === admitting.releaseId;
  const fresh = hashId(successorId, String(stop.turn), String(call.index));
  return { ...asked, approval: isSamePolicy ? (begun.approval?.id ?? fresh) : fresh };
}

/** The result of deferred work goes to the run that began it, which takes nothing more. */
async function lostResult(
  { stores }: ActivityDependencies,
  tenant: string,
  { run, stop }: Stopped,
  { index, tool }: TakenCall,
): Promise<Result> {
  const output = notComing(tool);
  const id = toolCallId(stop.turn, index);
  const part: MessagePart = { kind: 'tool-result', toolCallId: id, toolName: tool, isError: true, output };
  return { index, ref: await stores.transcripts.writePart(tenant, run.scope, part) };
}

async function judge(
  { stores }: ActivityDependencies,
  tenant: string,
  { run, stop, admitting }: Stopped,
  call: TakenCall,
  change: string | null,
): Promise<TakenCall | Result> {
  const { index, tool } = call;
  const id = toolCallId(stop.turn, index);
  const write = (part: MessagePart): Promise<string> => stores.transcripts.writePart(tenant, run.scope, part);
  const answer = async (output: string): Promise<Result> => ({
    index,
    ref: await write({ kind: 'tool-result', toolCallId: id, toolName: tool, isError: true, output }),
  });
  const isThere = admitting.release.tools.some(({ name }) => name === tool);
  if (change !== null && isThere)
    return answer(`The tool ${tool} has changed since it was asked for: ${change}. It was not called.`);
  const input = await argumentsOf(stores.transcripts, tenant, run.scope, call);
  const part = { kind: 'tool-call', toolCallId: id, toolName: tool, input } as const;
  const judged = judgeCall(admitting.agent, admitting.release, part, index);
  if (judged.outcome.kind === 'problem') return answer(judged.outcome.problem);
  const given = judged.inline ?? { argsRef: 'argsRef' in call ? call.argsRef : await write(part) };
  return { index, tool: judged.tool, argsHash: judged.argsHash, ...given, verdict: judged.outcome };
}

async function argumentsOf(
  transcripts: ActivityDependencies['stores']['transcripts'],
  tenant: string,
  scope: string,
  call: TakenCall,
): Promise<JsonValue> {
  if ('args' in call) return call.args;
  const part = await transcripts.readPart(tenant, scope, call.argsRef);
  if (part.kind !== 'tool-call') throw new Error(`segment ${call.argsRef} holds no arguments`);
  return part.input;
}
