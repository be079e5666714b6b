import { activityInfo, Context } from '@temporalio/activity';
import { costOfReply, type ModelPrice } from '../../domain/model/price.ts';
import type { Spans } from '../../runtime/gen-ai.ts';
import type { RunFacts } from '../../stores/runs.ts';
import { classify } from '../failures.ts';
import type { ModelReply, ModelRequest, ResolvedModel } from './invoke-model.ts';

/** Makes a model call inside a span, where calls are traced. */
export async function traceChat(
  spans: Spans | undefined,
  call: {
    readonly tenant: string;
    readonly facts: RunFacts;
    readonly turn: number;
    readonly resolved: ResolvedModel;
    readonly price: ModelPrice;
    readonly request: ModelRequest;
  },
  work: () => Promise<ModelReply>,
): Promise<ModelReply> {
  if (spans === undefined) return work();
  const { tenant, facts, turn, resolved, price, request } = call;
  const { cancellationSignal } = Context.current();
  const asked = {
    run: facts.id,
    tenant,
    agent: facts.agent,
    release: facts.release,
    turn,
    attempt: activityInfo().attempt,
    modelId: resolved.id,
    outputTokensMax: request.outputTokensMax,
    temperature: request.temperature ?? null,
    instructions: request.instructions,
    parts: request.parts,
    isCostSimulated: resolved.simulated,
  };
  return spans.chat(asked, work, {
    reply: (reply) => ({ ...reply, costPico: costOfReply(price, reply) }),
    trouble: (error) => (cancellationSignal.aborted ? 'cancelled' : classify(error).cause),
  });
}
