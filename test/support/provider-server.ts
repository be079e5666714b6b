import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { namedEvent, wireOf } from './provider-wires.ts';

/** What a provider charges for, in its own words. `null` says nothing about usage; it is charged all the same. */
export type WireUsage = {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details?: JsonObject;
  readonly completion_tokens_details?: JsonObject;
  readonly total_tokens?: number;
};

export type WireReply = {
  readonly text?: string;
  readonly reasoning?: string;
  /** A string as arguments goes out as it is; `id: null` leaves the id out. */
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: JsonValue; readonly id?: string | null }[];
  readonly usage?: WireUsage | null;
  readonly finishReason?: string;
  /** Milliseconds before the first byte. */
  readonly delayMs?: number;
  /** Milliseconds between the pieces of a streamed reply, which go out at once otherwise. */
  readonly pieceMs?: number;
};

/** What the server does with a request. `reset` breaks the connection: before the model worked, or with the reply ready but unsent. */
export type Behaviour =
  | ({ readonly kind: 'reply' } & WireReply)
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: JsonValue;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset'; readonly when: 'before-work' | 'after-work' }
  | { readonly kind: 'cut'; readonly reply: WireReply; readonly afterChunks: number; readonly end: 'clean' | 'reset' }
  | {
      readonly kind: 'stream-error';
      readonly afterChunks: number;
      readonly reply: WireReply;
      readonly error: JsonValue;
    };

/** One request as the provider saw it. The truth about money in tests. */
export type LedgerEntry = {
  readonly model: string;
  /** `x-client-request-id` of the caller. */
  readonly clientRequestId: string | null;
  /** The name the server gave the call. */
  readonly requestId: string;
  /** The key, as `Bearer …` whatever header it came in. */
  readonly authorization: string | null;
  /** Tells the protocol. */
  readonly url: string;
  readonly body: ProviderRequest;
  readonly behaviour: Behaviour['kind'];
  /** What the model worked; null when it did not. */
  charged: WireUsage | null;
  /** The last byte of the reply left without an error. */
  delivered: boolean;
};

export type WireMessage = {
  readonly role: string;
  readonly content?: JsonValue;
  readonly [field: string]: JsonValue | undefined;
};

export type ProviderRequest = {
  readonly model: string;
  readonly messages: readonly WireMessage[];
  readonly stream?: boolean;
  readonly [field: string]: JsonValue | undefined | readonly WireMessage[];
};

/** Answers a request by what it says and by the key that it came with. */
export type Answer = (request: ProviderRequest, authorization: string | null) => Behaviour;

export type ProviderServer = {
  /** For `PERDURE_MODEL_BASE_URL`. */
  readonly baseUrl: string;
  readonly ledger: readonly LedgerEntry[];
  /** Queues behaviours for the next requests; they come before `always`. */
  readonly next: (...behaviours: readonly Behaviour[]) => void;
  /** Sets what every other request gets. Defaults to the text `ok`. */
  readonly always: (answer: Behaviour | Answer) => void;
  /** Sums what was charged. */
  readonly charged: () => { readonly inputTokens: number; readonly outputTokens: number };
  readonly close: () => Promise<void>;
};

/** Starts a server on a free port that speaks OpenAI's chat completions and responses and Anthropic's messages, streamed or whole. */
export async function startProviderServer(port = 0): Promise<ProviderServer> {
  const ledger: LedgerEntry[] = [];
  const queue: Behaviour[] = [];
  let answer: Behaviour | Answer = { kind: 'reply', text: 'ok' };
  const server = createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'GET') {
      tellUsage(ledger, request, response);
      return;
    }
    const body = JSON.parse(await readText(request)) as ProviderRequest;
    const behaviour = queue.shift() ?? (typeof answer === 'function' ? answer(body, keyOf(request)) : answer);
    const entry: LedgerEntry = {
      model: body.model,
      clientRequestId: headerOf(request, 'x-client-request-id'),
      requestId: `req_${ledger.length + 1}`,
      authorization: keyOf(request),
      url: request.url ?? '',
      body,
      behaviour: behaviour.kind,
      charged: null,
      delivered: false,
    };
    ledger.push(entry);
    response.setHeader('x-request-id', entry.requestId);
    await behave(behaviour, entry, response);
  };
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    ledger,
    next: (...behaviours) => {
      queue.push(...behaviours);
    },
    always: (given) => {
      answer = given;
    },
    charged: () => ({
      inputTokens: ledger.reduce((sum, { charged }) => sum + (charged?.prompt_tokens ?? 0), 0),
      outputTokens: ledger.reduce((sum, { charged }) => sum + (charged?.completion_tokens ?? 0), 0),
    }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Says what a call was charged, by the caller's own id for it. What did not arrive, or is not finished, is not found. */
function tellUsage(ledger: readonly LedgerEntry[], request: IncomingMessage, response: ServerResponse): void {
  const id = decodeURIComponent((request.url ?? '').split('/').at(-1) ?? '');
  const entry = ledger.find(({ clientRequestId }) => clientRequestId === id);
  const isKnown = entry !== undefined && (entry.charged !== null || entry.behaviour === 'status');
  response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(isKnown ? { usage: entry.charged } : { error: { message: 'no such call' } }));
}

/** Bodies and statuses as providers send them. */
export const refusals = {
  unauthorized: {
    kind: 'status',
    status: 401,
    body: {
      error: {
        message: 'Incorrect API key provided: sk-wrong-0123456789.',
        type: 'invalid_request_error',
        code: 'invalid_api_key',
      },
    },
  },
  quotaExhausted: {
    kind: 'status',
    status: 429,
    body: {
      error: {
        message: 'You exceeded your current quota, please check your plan and billing details.',
        type: 'insufficient_quota',
        code: 'insufficient_quota',
      },
    },
  },
  contextTooLong: {
    kind: 'status',
    status: 400,
    body: {
      error: {
        message: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        type: 'invalid_request_error',
        code: 'context_length_exceeded',
      },
    },
  },
  badRequest: {
    kind: 'status',
    status: 400,
    body: { error: { message: "Invalid value for 'temperature'.", type: 'invalid_request_error', code: null } },
  },
  serverError: {
    kind: 'status',
    status: 500,
    body: { error: { message: 'The server had an error.', type: 'server_error' } },
  },
  overloaded: { kind: 'status', status: 529, body: { error: { message: 'Overloaded', type: 'overloaded_error' } } },
} as const satisfies Record<string, Behaviour>;

/** Refuses for the rate, with the seconds to wait in `retry-after`. */
export function rateLimited(retryAfterSeconds: number): Behaviour {
  return {
    kind: 'status',
    status: 429,
    headers: { 'retry-after': String(retryAfterSeconds) },
    body: { error: { message: 'Rate limit reached.', type: 'requests', code: 'rate_limit_exceeded' } },
  };
}

async function behave(behaviour: Behaviour, entry: LedgerEntry, response: ServerResponse): Promise<void> {
  switch (behaviour.kind) {
    case 'hang':
      return;
    case 'reset':
      if (behaviour.when === 'after-work') entry.charged = usageOf({ text: 'ok' }, entry.body);
      response.socket?.resetAndDestroy();
      return;
    case 'status':
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers });
      await end(response, entry, JSON.stringify(behaviour.body ?? {}));
      return;
    case 'reply':
      await reply(behaviour, entry, response);
      return;
    case 'cut':
      await cut(behaviour, entry, response);
      return;
    case 'stream-error': {
      entry.charged = usageOf(behaviour.reply, entry.body);
      openStream(response);
      for (const chunk of eventsOf(behaviour.reply, entry).slice(0, behaviour.afterChunks)) response.write(chunk);
      const wire = wireOf(entry.url);
      const { error } = behaviour;
      await end(response, entry, wire === null ? event({ error }) : namedEvent(wire.error(error)));
    }
  }
}

async function reply(wire: WireReply, entry: LedgerEntry, response: ServerResponse): Promise<void> {
  entry.charged = usageOf(wire, entry.body);
  if (wire.delayMs !== undefined) await sleep(wire.delayMs);
  if (entry.body.stream === true) {
    openStream(response);
    for (const chunk of eventsOf(wire, entry)) {
      response.write(chunk);
      if (wire.pieceMs !== undefined) await sleep(wire.pieceMs);
    }
    await end(response, entry, wireOf(entry.url) === null ? 'data: [DONE]\n\n' : '');
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  const other = wireOf(entry.url);
  if (other !== null) {
    await end(response, entry, JSON.stringify(other.body(wire, { ...entry, usage: entry.charged })));
    return;
  }
  const message = { role: 'assistant', ...messageOf(wire) };
  const choices = [{ index: 0, message, finish_reason: finishOf(wire) }];
  const usage = wire.usage === null ? {} : { usage: entry.charged };
  await end(
    response,
    entry,
    JSON.stringify({ id: entry.requestId, object: 'chat.completion', model: entry.model, choices, ...usage }),
  );
}

async function cut(
  { reply: wire, afterChunks, end: ending }: Extract<Behaviour, { kind: 'cut' }>,
  entry: LedgerEntry,
  response: ServerResponse,
): Promise<void> {
  entry.charged = usageOf(wire, entry.body);
  openStream(response);
  const kept = eventsOf(wire, entry).slice(0, afterChunks);
  await new Promise<void>((resolve) => response.write(`: kept\n\n${kept.join('')}`, () => resolve()));
  if (ending === 'clean') response.end();
  else {
    // The client reads what was written before the break.
    await sleep(20);
    response.socket?.resetAndDestroy();
  }
}

/** The events of a streamed reply, in the protocol of its address. */
function eventsOf(wire: WireReply, entry: LedgerEntry): readonly string[] {
  const other = wireOf(entry.url);
  if (other === null) return chunksOf(wire, entry).map(event);
  return other.events(wire, { ...entry, usage: usageOf(wire, entry.body) }).map(namedEvent);
}

/** The chunks of a streamed reply: the role, the words and arguments in pieces, the finish reason, the usage. */
function chunksOf(wire: WireReply, entry: Pick<LedgerEntry, 'requestId' | 'model' | 'body'>): JsonObject[] {
  const chunk = (rest: JsonObject): JsonObject => ({
    id: entry.requestId,
    object: 'chat.completion.chunk',
    model: entry.model,
    ...rest,
  });
  const delta = (content: JsonObject): JsonObject =>
    chunk({ choices: [{ index: 0, delta: content, finish_reason: null }] });
  const calls = (messageOf(wire)['tool_calls'] ?? []) as readonly JsonObject[];
  return [
    delta({ role: 'assistant', content: '' }),
    ...pieces(wire.reasoning ?? '').map((piece) => delta({ reasoning_content: piece })),
    ...pieces(wire.text ?? '').map((piece) => delta({ content: piece })),
    ...calls.flatMap((call, index) => callChunks(call, index).map((piece) => delta({ tool_calls: [piece] }))),
    chunk({ choices: [{ index: 0, delta: {}, finish_reason: finishOf(wire) }] }),
    ...(wire.usage === null ? [] : [chunk({ choices: [], usage: usageOf(wire, entry.body) })]),
  ];
}

function callChunks(call: JsonObject, index: number): JsonObject[] {
  const { name, arguments: text } = call['function'] as { name: string; arguments: string };
  const { function: _function, ...head } = call;
  return [
    { ...head, index, function: { name, arguments: '' } },
    ...pieces(text).map((piece) => ({ index, function: { arguments: piece } })),
  ];
}

function messageOf(wire: WireReply): JsonObject {
  const calls = (wire.toolCalls ?? []).map((call, index) => ({
    ...(call.id === null ? {} : { id: call.id ?? `call_${index + 1}` }),
    type: 'function',
    function: {
      name: call.name,
      arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
    },
  }));
  return {
    content: wire.text ?? null,
    ...(wire.reasoning === undefined ? {} : { reasoning_content: wire.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function finishOf(wire: WireReply): string {
  return wire.finishReason ?? ((wire.toolCalls ?? []).length > 0 ? 'tool_calls' : 'stop');
}

/** A token for every four bytes, unless the reply says what it costs. */
function usageOf(wire: WireReply, request: ProviderRequest): WireUsage {
  if (wire.usage !== undefined && wire.usage !== null) return wire.usage;
  const prompt = countTokens(request.messages ?? request['input']);
  const completion = countTokens(messageOf(wire));
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

function countTokens(value: unknown): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(value)) / 4);
}

/** Three characters at a time, so that words and JSON arrive in pieces. */
function pieces(text: string): string[] {
  return text.match(/[^]{1,3}/gu) ?? [];
}

function event(chunk: JsonValue): string {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

async function end(response: ServerResponse, entry: LedgerEntry, last: string): Promise<void> {
  await new Promise<void>((resolve) => {
    response.once('close', () => {
      entry.delivered = response.writableFinished;
      resolve();
    });
    response.end(last);
  });
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** Anthropic's protocol has the key in a header of its own. */
function keyOf(request: IncomingMessage): string | null {
  const key = headerOf(request, 'x-api-key');
  return headerOf(request, 'authorization') ?? (key === null ? null : `Bearer ${key}`);
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
}
