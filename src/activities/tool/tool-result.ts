import { canonicalJson, type JsonValue, utf8Bytes } from '../../domain/json.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { Stores } from '../../stores/stores.ts';
import { toolCallId } from './tool-call-id.ts';
import type { ToolCall } from './tool-call.ts';

/** The call that a result is of. */
type ResultOf = Pick<ToolCall, 'tenant' | 'facts'> & {
  readonly tool: { readonly contract: { readonly name: string } };
  readonly request: { readonly turn: number; readonly index: number };
};

/** Writes the result of a call as the model will read it, and gives its reference. */
export async function writeResult(
  stores: Stores,
  { tenant, facts, tool, request }: ResultOf,
  result: { readonly isError: boolean; readonly output: JsonValue },
): Promise<string> {
  return stores.transcripts.writePart(tenant, facts.scope, {
    kind: 'tool-result',
    toolCallId: toolCallId(request.turn, request.index),
    toolName: tool.contract.name,
    isError: result.isError,
    output: boundOutput(result.output),
  });
}

/** Cuts an output that is too large, and says so in words that the model can act on. */
function boundOutput(output: JsonValue): JsonValue {
  const text = typeof output === 'string' ? output : canonicalJson(output);
  const bytes = utf8Bytes(text);
  if (bytes <= LIMITS.toolOutputBytesMax) return output;
  const kept = Buffer.from(text, 'utf8')
    .subarray(0, LIMITS.toolOutputBytesMax)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return `${kept}\n[cut: the tool returned ${bytes} bytes, the first ${LIMITS.toolOutputBytesMax} are shown; ask for less]`;
}
