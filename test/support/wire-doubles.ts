import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { invokeModel, type ModelReply, type ModelRequest } from '../../src/activities/model/invoke-model.ts';
import { createModels } from '../../src/activities/model/providers.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';

/** A tool call as a provider is to write it: with the name that it was told, and an id of its own. */
export type SpokenCall = { readonly id: string; readonly name: string; readonly arguments: JsonObject };

/** A result as it came to the provider, with the call that the provider pairs it with. */
export type HeardResult = { readonly call: string; readonly result: string };

/** How a provider's protocol names tools and pairs results. */
export type WireDouble = {
  /** Model and environment for a server at this address. */
  readonly model: string;
  readonly env: (origin: string) => Readonly<Record<string, string>>;
  /** What the provider takes as the name of a tool. */
  readonly toolName: RegExp;
  readonly toolNames: (request: Fields) => readonly string[];
  readonly reply: (calls: readonly SpokenCall[]) => JsonObject;
  /** Names of the calls in the transcript, by the id that the provider knows them by, and their results. */
  readonly heard: (request: Fields) => {
    readonly calls: ReadonlyMap<string, string>;
    readonly results: readonly HeardResult[];
  };
};

/** JSON of a provider, which a test takes apart. */
// oxlint-disable-next-line typescript/no-explicit-any -- each protocol has another shape, and a wrong guess fails the test
export type Fields = Record<string, any>;

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const OPENAI_NAME = /^[\w-]{1,64}$/;

const chat = (model: string, env: WireDouble['env']): WireDouble => ({
  model,
  env,
  toolName: OPENAI_NAME,
  toolNames: ({ tools }) => tools.map((tool: Fields) => tool['function'].name),
  reply: (calls) => ({
    id: 'c1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [
      {
        index: 0,
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: null,
          tool_calls: calls.map(({ id, name, arguments: given }) => ({
            id,
            type: 'function',
            function: { name, arguments: JSON.stringify(given) },
          })),
        },
      },
    ],
    usage: USAGE,
  }),
  heard: ({ messages }) => ({
    calls: new Map(
      messages.flatMap(({ tool_calls: calls = [] }: Fields) =>
        calls.map((call: Fields) => [call['id'], call['function'].name]),
      ),
    ),
    results: messages.flatMap(({ role, tool_call_id: call, content }: Fields) =>
      role === 'tool' ? [{ call, result: textIn(content) }] : [],
    ),
  }),
});

/** The protocols, by the provider whose package speaks them. */
export const WIRE_DOUBLES: Readonly<Record<string, WireDouble>> = {
  openai: chat('openai:m', (origin) => ({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: origin })),
  groq: chat('groq:m', (origin) => ({ GROQ_API_KEY: 'k', GROQ_BASE_URL: origin })),
  deepseek: chat('deepseek:m', (origin) => ({ DEEPSEEK_API_KEY: 'k', DEEPSEEK_BASE_URL: origin })),
  azure: chat('azure:m', (origin) => ({ AZURE_API_KEY: 'k', AZURE_BASE_URL: origin })),
  ollama: chat('ollama:m', (origin) => ({ OLLAMA_BASE_URL: origin })),
  mistral: {
    ...chat('mistral:m', (origin) => ({ MISTRAL_API_KEY: 'k', MISTRAL_BASE_URL: origin })),
    reply: (calls) => {
      const whole = WIRE_DOUBLES['openai']?.reply(calls) as Fields;
      return { ...whole, id: 'c1' };
    },
  },
  'openai-responses': responses('openai-responses:m', (origin) => ({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: origin })),
  xai: responses('xai:m', (origin) => ({ XAI_API_KEY: 'k', XAI_BASE_URL: origin })),
  anthropic: {
    model: 'anthropic:m',
    env: (origin) => ({ ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: origin }),
    toolName: OPENAI_NAME,
    toolNames: ({ tools }) => tools.map((tool: Fields) => tool['name']),
    reply: (calls) => ({
      id: 'm1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: calls.map(({ id, name, arguments: input }) => ({ type: 'tool_use', id, name, input })),
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 10, output_tokens: 5 },
    }),
    heard: ({ messages }) => {
      const blocks = messages.flatMap(({ content }: Fields) => (Array.isArray(content) ? content : []));
      return {
        calls: new Map(blocks.flatMap(({ type, id, name }: Fields) => (type === 'tool_use' ? [[id, name]] : []))),
        results: blocks.flatMap(({ type, tool_use_id: call, content }: Fields) =>
          type === 'tool_result' ? [{ call, result: textIn(content) }] : [],
        ),
      };
    },
  },
  google: {
    model: 'google:m',
    env: (origin) => ({ GOOGLE_GENERATIVE_AI_API_KEY: 'k', GOOGLE_BASE_URL: origin }),
    toolName: /^[A-Za-z_][\w.:-]{0,63}$/,
    toolNames: ({ tools }) =>
      tools.flatMap((tool: Fields) => tool['functionDeclarations'].map(({ name }: Fields) => name)),
    reply: (calls) => ({
      candidates: [
        {
          content: {
            role: 'model',
            parts: calls.map(({ name, arguments: args }) => ({ functionCall: { name, args } })),
          },
          finishReason: 'STOP',
        },
      ],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 },
    }),
    heard: ({ contents }) => {
      const parts = contents.flatMap((content: Fields) => content['parts']);
      return {
        calls: new Map(
          parts.flatMap(({ functionCall }: Fields) =>
            functionCall === undefined ? [] : [[functionCall.id, functionCall.name]],
          ),
        ),
        results: parts.flatMap(({ functionResponse }: Fields) =>
          functionResponse === undefined
            ? []
            : [{ call: functionResponse.id, result: textIn(functionResponse.response.content) }],
        ),
      };
    },
  },
  bedrock: {
    model: 'bedrock:m',
    env: (origin) => ({ AWS_BEARER_TOKEN_BEDROCK: 'k', BEDROCK_BASE_URL: origin }),
    toolName: OPENAI_NAME,
    toolNames: ({ toolConfig }) => toolConfig.tools.map(({ toolSpec }: Fields) => toolSpec.name),
    reply: (calls) => ({
      output: {
        message: {
          role: 'assistant',
          content: calls.map(({ id, name, arguments: input }) => ({ toolUse: { toolUseId: id, name, input } })),
        },
      },
      stopReason: 'tool_use',
      usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 },
    }),
    heard: ({ messages }) => {
      const blocks = messages.flatMap(({ content }: Fields) => content);
      return {
        calls: new Map(
          blocks.flatMap(({ toolUse }: Fields) => (toolUse === undefined ? [] : [[toolUse.toolUseId, toolUse.name]])),
        ),
        results: blocks.flatMap(({ toolResult }: Fields) =>
          toolResult === undefined ? [] : [{ call: toolResult.toolUseId, result: textIn(toolResult.content) }],
        ),
      };
    },
  },
};

function responses(model: string, env: WireDouble['env']): WireDouble {
  return {
    model,
    env,
    toolName: OPENAI_NAME,
    toolNames: ({ tools }) => tools.map((tool: Fields) => tool['name']),
    reply: (calls) => ({
      id: 'r1',
      object: 'response',
      created_at: 1,
      model: 'm',
      status: 'completed',
      error: null,
      incomplete_details: null,
      output: calls.map(({ id, name, arguments: given }, index) => ({
        type: 'function_call',
        id: `fc_${index}`,
        status: 'completed',
        call_id: id,
        name,
        arguments: JSON.stringify(given),
      })),
      usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
    }),
    heard: ({ input }) => ({
      calls: new Map(
        input.flatMap(({ type, call_id: id, name }: Fields) => (type === 'function_call' ? [[id, name]] : [])),
      ),
      results: input.flatMap(({ type, call_id: call, output }: Fields) =>
        type === 'function_call_output' ? [{ call, result: textIn(output) }] : [],
      ),
    }),
  };
}

/** What a double has got: bodies, paths and headers, in their order. */
export type Heard = {
  readonly body: Fields;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly path: string;
};

export type DoubleServer = {
  readonly origin: string;
  readonly heard: readonly Heard[];
  /** Sets what every request gets. A buffer goes out as a stream of Bedrock's events, a text as one of server-sent events; `null` is no answer. */
  readonly answer: (make: (request: Fields) => JsonValue | Buffer) => void;
  readonly close: () => Promise<void>;
};

/** Calls a double through its provider's own package. */
export async function callDouble(
  server: Pick<DoubleServer, 'origin'>,
  { model, env }: WireDouble,
  request: Partial<ModelRequest>,
): Promise<ModelReply> {
  const models = createModels({ env: env(server.origin), rehearsals: new Map() });
  const resolved = await models.resolve({ id: model, outputTokensMax: 100, contextTokensMax: 1000 });
  const parts = [{ kind: 'user-text' as const, text: 'Hello.' }];
  const whole = { instructions: 'Be brief.', parts, tools: [], outputTokensMax: 100, requestId: 'run-1-a', ...request };
  return invokeModel(resolved, whole, new AbortController().signal);
}

/** Starts a server that answers every request with one body. */
export async function startDouble(): Promise<DoubleServer> {
  const heard: Heard[] = [];
  let make: Parameters<DoubleServer['answer']>[0] | null = null;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Fields;
      heard.push({ body, headers: request.headers, path: request.url ?? '' });
      const given = make === null ? {} : make(body);
      if (given === null) return;
      const isText = typeof given === 'string';
      const type = isText ? 'text/event-stream' : 'application/json';
      const isFrames = Buffer.isBuffer(given);
      response.writeHead(200, { 'content-type': isFrames ? 'application/vnd.amazon.eventstream' : type });
      response.end(isText || isFrames ? given : JSON.stringify(given));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    answer: (given) => {
      make = given;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Finds the text of a result, in whatever a protocol wraps it. */
function textIn(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(textIn).join('');
  const { text, content, json, result } = value as Fields;
  return textIn(text ?? content ?? json ?? result ?? '');
}
