import { canonicalJson, isDeeperThan } from '../domain/json.ts';
import { LIMITS } from '../domain/run/limits.ts';
import { readDeferredToken } from '../domain/run/deferred-token.ts';
import type { DeferredResult } from '../domain/run/message.ts';
import { deferredResultSchema, envelopeSchema } from '../domain/schemas/messages.ts';
import { hashId } from '../domain/sha-256.ts';
import { readShape, readText } from './check-input.ts';
import type { ClientContext } from './context.ts';
import { InvalidInput } from './errors.ts';
import type { MessageOptions } from './run-handle.ts';
import { sendMessage, type SendReceipt } from './send-message.ts';

/**
 * Gives a deferred tool call its result. The run is found by the token.
 *
 * @throws InvalidInput when the token or the result is none. Nothing was sent.
 * @throws MessageRejected when the call waits no more, or its run has ended.
 * @throws RunNotFound
 */
export async function completeTool(
  context: ClientContext,
  token: string,
  given: DeferredResult,
  { key, principal = context.principal }: MessageOptions = {},
): Promise<SendReceipt> {
  const place = readDeferredToken(token);
  if (place === null) {
    throw new InvalidInput('token must be one that a deferred tool was given; perdure tool ls lists those that wait');
  }
  const result = readResult(given);
  const id = key ?? hashId('completeTool', token, canonicalJson(result));
  const envelope = readShape(envelopeSchema, { id, principal }) as { readonly id: string; readonly principal: string };
  return sendMessage(context, place.runId, 'completeTool', { ...envelope, token, result });
}

function readResult(given: DeferredResult): DeferredResult {
  // The schema calls itself for every level. The result itself is one more.
  if (isDeeperThan(given, LIMITS.outputDepthMax + 1)) {
    throw new InvalidInput(`output must have at most ${LIMITS.outputDepthMax} levels; send a flatter value`);
  }
  const result: DeferredResult = readShape(deferredResultSchema, given);
  return 'error' in result ? { error: readText('error', result.error) } : result;
}
