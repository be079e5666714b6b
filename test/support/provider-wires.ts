import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import type { ProviderRequest, WireReply, WireUsage } from './provider-server.ts';

/** A protocol beside OpenAI's chat completions: how it writes a reply, streamed and whole, and an error inside a stream. */
export type ProviderWire = {
  readonly events: (reply: WireReply, call: WireCall) => readonly JsonObject[];
  readonly body: (reply: WireReply, call: WireCall) => JsonObject;
  readonly error: (error: JsonValue) => JsonObject;
};

/** One call as the server has noted it. */
export type WireCall = {
  readonly requestId: string;
  readonly model: string;
  readonly body: ProviderRequest;
  readonly usage: WireUsage;
};

/** Finds the protocol of an address. Null for chat completions. */
export function wireOf(url: string): ProviderWire | null {
  const path = url.split('?')[0] ?? '';
  if (path.endsWith('/responses')) return RESPONSES;
  return path.endsWith('/messages') ? MESSAGES : null;
}

/** Writes an event as a line of a stream; both protocols name each event, too. */
export function namedEvent(event: JsonObject): string {
  return `event: ${event['type'] as string}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** OpenAI's responses: items that are added, grow and are done, and a response around them. */
const RESPONSES: ProviderWire = {
  events: (reply, call) => {
    const items = responseItems(reply);
    const start: JsonObject = { ...responseOf(call), status: 'in_progress', output: [] };
    return [
      { type: 'response.created', response: start },
      { type: 'response.in_progress', response: start },
      ...items.flatMap((item, index) => itemEvents(item, index)),
      finalResponse(reply, call, items),
    ].map((event, sequence): JsonObject => ({ ...event, sequence_number: sequence }));
  },
  body: (reply, call) => finalResponse(reply, call, responseItems(reply))['response'] as JsonObject,
  error: (error) => ({ type: 'error', sequence_number: 9, error }),
};

/** Anthropic's messages: blocks that start, grow and stop, and a message around them. */
const MESSAGES: ProviderWire = {
  events: (reply, call) => {
    const start = { ...messageOf(reply, call), content: [], stop_reason: null };
    return [
      { type: 'message_start', message: { ...start, usage: { ...messageUsage(call), output_tokens: 1 } } },
      ...contentOf(reply).flatMap(blockEvents),
      {
        type: 'message_delta',
        delta: { stop_reason: stopReasonOf(reply), stop_sequence: null },
        usage: { output_tokens: call.usage.completion_tokens },
      },
      { type: 'message_stop' },
    ];
  },
  body: (reply, call) => ({ ...messageOf(reply, call), content: contentOf(reply) }),
  error: (error) => ({ type: 'error', error }),
};

function responseOf({ requestId, model }: WireCall): JsonObject {
  return { id: requestId, object: 'response', created_at: 1_700_000_000, model, error: null, incomplete_details: null };
}

function finalResponse(reply: WireReply, call: WireCall, output: readonly JsonObject[]): JsonObject {
  const { prompt_tokens: input, completion_tokens: written } = call.usage;
  const isCut = reply.finishReason === 'length';
  const response: JsonObject = {
    ...responseOf(call),
    status: isCut ? 'incomplete' : 'completed',
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output,
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: written,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + written,
    },
  };
  return { type: isCut ? 'response.incomplete' : 'response.completed', response };
}

function responseItems({ text, toolCalls = [] }: WireReply): readonly JsonObject[] {
  const message: JsonObject = {
    type: 'message',
    id: 'msg_1',
    status: 'completed',
    role: 'assistant',
    content: [{ type: 'output_text', text: text ?? '', annotations: [] }],
  };
  const calls = toolCalls.map(({ name, arguments: given, id }, index): JsonObject => ({
    type: 'function_call',
    id: `fc_${index + 1}`,
    status: 'completed',
    call_id: id ?? `call_${index + 1}`,
    name,
    arguments: argumentsOf(given),
  }));
  return [...(text === undefined ? [] : [message]), ...calls];
}

function itemEvents(item: JsonObject, index: number): readonly JsonObject[] {
  const place = { output_index: index, item_id: item['id'] as string };
  const added = (empty: JsonObject): JsonObject => ({
    type: 'response.output_item.added',
    output_index: index,
    item: { ...item, status: 'in_progress', ...empty },
  });
  const done: JsonObject = { type: 'response.output_item.done', output_index: index, item };
  if (item['type'] === 'function_call') {
    const text = item['arguments'] as string;
    const grow = { type: 'response.function_call_arguments.delta', ...place };
    const end: JsonObject = { type: 'response.function_call_arguments.done', ...place, arguments: text };
    return [added({ arguments: '' }), ...pieces(text).map((delta) => ({ ...grow, delta })), end, done];
  }
  const [content] = item['content'] as readonly JsonObject[];
  const { text } = content as { readonly text: string };
  const grow = { type: 'response.output_text.delta', ...place, content_index: 0 };
  return [added({ content: [] }), ...pieces(text).map((delta) => ({ ...grow, delta })), done];
}

function messageOf(reply: WireReply, call: WireCall): JsonObject {
  return {
    id: call.requestId,
    type: 'message',
    role: 'assistant',
    model: call.model,
    stop_reason: stopReasonOf(reply),
    stop_sequence: null,
    usage: messageUsage(call),
  };
}

function messageUsage({ usage }: WireCall): JsonObject {
  return {
    input_tokens: usage.prompt_tokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: usage.completion_tokens,
  };
}

function stopReasonOf({ finishReason, toolCalls = [] }: WireReply): string {
  if (finishReason === 'length') return 'max_tokens';
  return toolCalls.length > 0 ? 'tool_use' : 'end_turn';
}

function contentOf({ text, toolCalls = [] }: WireReply): readonly JsonObject[] {
  const calls = toolCalls.map(({ name, arguments: given, id }, index): JsonObject => ({
    type: 'tool_use',
    id: id ?? `toolu_${index + 1}`,
    name,
    input: JSON.parse(argumentsOf(given)) as JsonObject,
  }));
  return [...(text === undefined ? [] : [{ type: 'text', text }]), ...calls];
}

function blockEvents(block: JsonObject, index: number): readonly JsonObject[] {
  const isCall = block['type'] === 'tool_use';
  const text = isCall ? JSON.stringify(block['input']) : (block['text'] as string);
  const empty = isCall ? { ...block, input: {} } : { ...block, text: '' };
  const grow = (piece: string): JsonObject =>
    isCall ? { type: 'input_json_delta', partial_json: piece } : { type: 'text_delta', text: piece };
  return [
    { type: 'content_block_start', index, content_block: empty },
    ...pieces(text).map((piece): JsonObject => ({ type: 'content_block_delta', index, delta: grow(piece) })),
    { type: 'content_block_stop', index },
  ];
}

function argumentsOf(given: JsonValue): string {
  return typeof given === 'string' ? given : JSON.stringify(given);
}

function pieces(text: string): readonly string[] {
  return text.match(/[^]{1,3}/gu) ?? [];
}
