import { classify } from '../../src/activities/failures.ts';
import { invokeModel } from '../../src/activities/model/invoke-model.ts';
import { createModels } from '../../src/activities/model/providers.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';
import { type DoubleServer, WIRE_DOUBLES } from './wire-doubles.ts';

/** An event of a stream, as JSON. */
export type Event = Readonly<Record<string, unknown>>;

export const chunk = (delta: Event, finish: string | null = null): Event => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason: finish }],
});
export const chatUsage: Event = {
  ...chunk({}),
  choices: [],
  usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 },
};

export const begin: Event = {
  type: 'message_start',
  message: {
    id: 'm1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 1 },
  },
};
export const block = (index: number, content: Event, ...deltas: readonly Event[]): readonly Event[] => [
  { type: 'content_block_start', index, content_block: content },
  ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
  { type: 'content_block_stop', index },
];
export const words = (index: number, text: string) =>
  block(index, { type: 'text', text: '' }, { type: 'text_delta', text });
export const finish = (reason: string): readonly Event[] => [
  { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage: { output_tokens: 4 } },
  { type: 'message_stop' },
];

export const response = (fields: Event): Event => ({
  response: {
    id: 'r1',
    object: 'response',
    created_at: 1,
    model: 'm',
    error: null,
    incomplete_details: null,
    output: [],
    ...fields,
  },
});
export const created: Event = { type: 'response.created', ...response({ status: 'in_progress' }) };
export const spent = { input_tokens: 9, output_tokens: 4, total_tokens: 13 };
export const completed: Event = { type: 'response.completed', ...response({ status: 'completed', usage: spent }) };
export const item = (index: number, fields: Event, ...between: readonly Event[]): readonly Event[] => [
  { type: 'response.output_item.added', output_index: index, item: fields },
  ...between,
  { type: 'response.output_item.done', output_index: index, item: fields },
];
export const spoken = (index: number, text: string): readonly Event[] =>
  item(
    index,
    {
      type: 'message',
      id: `msg_${index}`,
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text, annotations: [] }],
    },
    { type: 'response.output_text.delta', item_id: `msg_${index}`, output_index: index, content_index: 0, delta: text },
  );

export const candidate = (parts: readonly Event[], finishReason?: string): Event => ({
  candidates: [{ content: { role: 'model', parts }, ...(finishReason === undefined ? {} : { finishReason }) }],
  usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 4, totalTokenCount: 13 },
});

/** Plays events to a provider's own package. An outcome is the kinds of the parts with what they say, or cause and disposition. */
export async function outcomeOf(server: DoubleServer, provider: string, events: readonly Event[]): Promise<string> {
  const isOpenAi = !['anthropic', 'google'].includes(provider);
  server.answer(() => events.map(spell).join('') + (isOpenAi ? 'data: [DONE]\n\n' : ''));
  const wire = WIRE_DOUBLES[provider];
  const models = createModels({ env: wire?.env(server.origin) ?? {}, rehearsals: new Map() });
  const resolved = await models.resolve({ id: wire?.model ?? '', outputTokensMax: 9, contextTokensMax: 9 });
  const parts = [{ kind: 'user-text' as const, text: 'Hi.' }];
  const request = { instructions: 'x', parts, tools: [], outputTokensMax: 9 };
  return invokeModel(resolved, request, new AbortController().signal).then(
    (reply) => reply.parts.map((part) => `${part.kind} ${textOf(part)}`).join(', '),
    (error: unknown) => `${classify(error).cause} ${classify(error).disposition}`,
  );
}

function textOf(part: MessagePart): string {
  if ('text' in part) return part.text;
  return 'input' in part ? JSON.stringify(part.input) : '';
}

function spell(event: Event): string {
  const name = typeof event['type'] === 'string' ? `event: ${event['type']}\n` : '';
  return `${name}data: ${JSON.stringify(event)}\n\n`;
}
