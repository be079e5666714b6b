import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject, JsonValue } from '../../../src/domain/json.ts';
import { IN_PLACE_START, SUMMARY_INSTRUCTIONS } from '../../../src/domain/memory/summary.ts';
import { automaticCache, type Cached, type Charged, markedCache, prefixesOf, type Prefixes } from './cache-rules.ts';

/** A request as it came, and what it was charged. */
export type CachedRequest = {
  readonly wire: 'anthropic' | 'openai';
  readonly text: string;
  readonly body: JsonObject & { readonly messages: readonly JsonObject[] };
  readonly prefixes: Prefixes;
  readonly charged: Charged;
  readonly outputTokens: number;
  readonly isSummary: boolean;
};

export type ModelTurn = {
  readonly text?: string;
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly input: JsonObject }[];
};

export type CachingServer = {
  /** Base URL of both wires. */
  readonly url: string;
  readonly requests: readonly CachedRequest[];
  /** Says why requests were refused. */
  readonly refused: readonly string[];
  readonly close: () => Promise<void>;
};

/** What the model answers. `turn` counts the requests that are no summaries, from 1. */
export type Player = (turn: number, body: JsonObject) => ModelTurn;

/**
 * Starts a server that speaks Anthropic's messages and OpenAI's chat completions, charges each prompt by its provider's rules of caching, and says so in the
 * usage of the reply.
 */
export async function startCachingServer(
  player: Player,
  { tokensMin = 1_024, now = Date.now }: { readonly tokensMin?: number; readonly now?: () => number } = {},
): Promise<CachingServer> {
  const requests: CachedRequest[] = [];
  const refused: string[] = [];
  const caches = { anthropic: markedCache({ tokensMin, now }), openai: automaticCache({ now }) };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const wire = request.url?.endsWith('/messages') === true ? 'anthropic' : 'openai';
    const text = await readText(request);
    const body = JSON.parse(text) as CachedRequest['body'] & { readonly model: string };
    const cached: Cached = caches[wire](body);
    if (cached.kind === 'refused') {
      refused.push(cached.message);
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message: cached.message } }),
      );
      return;
    }
    const isSummary = text.includes(JSON.stringify(SUMMARY_INSTRUCTIONS)) || text.includes(IN_PLACE_START);
    const turn = requests.filter((each) => !each.isSummary).length + 1;
    const reply = isSummary ? { text: 'They looked things up, and all was well.' } : player(turn, body);
    const outputTokens = Math.ceil(JSON.stringify(reply).length / 4);
    const { charged } = cached;
    requests.push({ wire, text, body, prefixes: prefixesOf(body), charged, outputTokens, isSummary });
    const events = wire === 'anthropic' ? messageEvents : chatEvents;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(events(body.model, reply, charged, outputTokens).join(''));
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    refused,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function messageEvents(
  model: string,
  reply: ModelTurn,
  { fresh, written, hour, read }: Charged,
  output: number,
): string[] {
  const usage = {
    input_tokens: fresh,
    cache_creation_input_tokens: written,
    cache_creation: { ephemeral_5m_input_tokens: written - hour, ephemeral_1h_input_tokens: hour },
    cache_read_input_tokens: read,
    output_tokens: 1,
  };
  const message = {
    id: 'msg',
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  };
  const blocks = [
    ...(reply.text === undefined
      ? []
      : [{ start: { type: 'text', text: '' }, delta: { type: 'text_delta', text: reply.text } }]),
    ...(reply.toolCalls ?? []).map(({ id, name, input }) => ({
      start: { type: 'tool_use', id, name, input: {} },
      delta: { type: 'input_json_delta', partial_json: JSON.stringify(input) },
    })),
  ];
  const stop = reply.toolCalls === undefined ? 'end_turn' : 'tool_use';
  return [
    { type: 'message_start', message },
    ...blocks.flatMap(({ start, delta }, index) => [
      { type: 'content_block_start', index, content_block: start },
      { type: 'content_block_delta', index, delta },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: output } },
    { type: 'message_stop' },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

function chatEvents(model: string, reply: ModelTurn, { fresh, written, read }: Charged, output: number): string[] {
  const chunk = (rest: JsonObject): JsonValue => ({ id: 'chat', object: 'chat.completion.chunk', model, ...rest });
  const calls = (reply.toolCalls ?? []).map(({ id, name, input }, index) => ({
    index,
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(input) },
  }));
  const delta: JsonObject = {
    role: 'assistant',
    ...(reply.text === undefined ? {} : { content: reply.text }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  const prompt = fresh + written + read;
  const usage = {
    prompt_tokens: prompt,
    completion_tokens: output,
    total_tokens: prompt + output,
    prompt_tokens_details: { cached_tokens: read },
  };
  const events = [
    chunk({ choices: [{ index: 0, delta, finish_reason: null }] }),
    chunk({ choices: [{ index: 0, delta: {}, finish_reason: calls.length === 0 ? 'stop' : 'tool_calls' }] }),
    chunk({ choices: [], usage }),
  ];
  return [...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), 'data: [DONE]\n\n'];
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
