import { type JsonValue, utf8Bytes } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { Call } from './prepare-call.ts';
import { uniqueCallIds } from './unique-call-ids.ts';

type ToolResult = Extract<MessagePart, { kind: 'tool-result' }>;

const CUT = '\n[Cut here: the budget of this task bears no more.]';

/**
 * Cuts what tools have told in the last turn, so that it fits into what a run keeps for its last answer. The results themselves stay as they are stored; a run
 * that takes this one up reads them whole.
 *
 * @param bytesMax Bytes of all of them together.
 */
export async function withCutResults<Asked extends Call>(
  { stores: { transcripts } }: ActivityDependencies,
  call: Asked,
  bytesMax: number,
): Promise<Asked> {
  const { tenant, facts, head } = call;
  const parts = await Promise.all(call.delta.map(async (ref) => transcripts.readPart(tenant, facts.scope, ref)));
  const results = parts.filter(({ kind }) => kind === 'tool-result');
  const share = Math.floor(bytesMax / Math.max(1, results.length));
  const delta = await Promise.all(
    parts.map(async (part, index) => {
      const cut = part.kind === 'tool-result' ? cutResult(part, share) : part;
      return cut === part ? (call.delta[index] ?? '') : transcripts.writePart(tenant, facts.scope, cut);
    }),
  );
  const prompt = await transcripts.append(tenant, facts.scope, head, delta);
  return { ...call, delta, prompt, parts: uniqueCallIds(await transcripts.read(tenant, facts.scope, prompt)) };
}

function cutResult(part: ToolResult, bytesMax: number): ToolResult {
  const text = textOf(part.output);
  if (utf8Bytes(text) <= bytesMax) return part;
  // Half a character at the end becomes one that says so.
  const kept = Buffer.from(text, 'utf8')
    .subarray(0, Math.max(0, bytesMax - utf8Bytes(CUT)))
    .toString('utf8');
  return { ...part, output: kept.replace(/\uFFFD+$/, '') + CUT };
}

function textOf(output: JsonValue): string {
  return typeof output === 'string' ? output : JSON.stringify(output);
}
