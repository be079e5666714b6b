import { type Attributes, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { JsonValue } from '../domain/json.ts';
import type { MessagePart } from '../domain/model/message-part.ts';
import type { Usage } from '../domain/model/usage.ts';
import type { Cause } from '../domain/run/cause.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import { inputMessages, outputMessages, systemInstructions } from './gen-ai-messages.ts';

/** The version of the gen_ai conventions whose names are used here. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.41.0';

/** Names of the attributes that Perdure sets on spans: those of OpenTelemetry where it has one, else `perdure.`. Nowhere else is one spelled. */
export const ATTRIBUTES = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  conversation: 'gen_ai.conversation.id',
  agentName: 'gen_ai.agent.name',
  agentVersion: 'gen_ai.agent.version',
  requestModel: 'gen_ai.request.model',
  requestTokensMax: 'gen_ai.request.max_tokens',
  requestTemperature: 'gen_ai.request.temperature',
  requestStream: 'gen_ai.request.stream',
  responseModel: 'gen_ai.response.model',
  responseId: 'gen_ai.response.id',
  finishReasons: 'gen_ai.response.finish_reasons',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  cacheWriteTokens: 'gen_ai.usage.cache_creation.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  toolName: 'gen_ai.tool.name',
  toolCallId: 'gen_ai.tool.call.id',
  toolType: 'gen_ai.tool.type',
  errorType: 'error.type',
  inputMessages: 'gen_ai.input.messages',
  outputMessages: 'gen_ai.output.messages',
  systemInstructions: 'gen_ai.system_instructions',
  toolArguments: 'gen_ai.tool.call.arguments',
  toolResult: 'gen_ai.tool.call.result',
  run: 'perdure.run',
  execution: 'perdure.execution',
  turn: 'perdure.turn',
  tenant: 'perdure.tenant',
  agent: 'perdure.agent',
  release: 'perdure.release',
  attempt: 'perdure.attempt',
  costUsd: 'perdure.cost_usd',
  isCostSimulated: 'perdure.cost_simulated',
  outcome: 'perdure.outcome',
  turns: 'perdure.turns',
  toolCalls: 'perdure.tool_calls',
  tokens: 'perdure.tokens',
} as const;

/** Whose call it is. */
type CallOfRun = {
  readonly run: string;
  readonly tenant: string;
  readonly agent: string;
  readonly release: string;
  readonly turn: number;
  readonly attempt: number;
};

/** What is known of a model call before it is made. */
export type ChatCall = CallOfRun & {
  /** `provider:model`. */
  readonly modelId: string;
  readonly outputTokensMax: number;
  readonly temperature: number | null;
  readonly instructions: string;
  readonly parts: readonly MessagePart[];
  readonly isCostSimulated: boolean;
};

/** What a model answered, and what that cost. */
export type ChatReply = {
  readonly modelId: string;
  readonly requestId: string | null;
  readonly stopReason: 'stop' | 'tool-calls';
  readonly usage: Usage;
  readonly costPico: bigint;
  readonly parts: readonly MessagePart[];
};

/** What is known of a tool call before it is made. */
export type ToolSpan = CallOfRun & {
  readonly tool: string;
  readonly toolCallId: string;
  readonly input: JsonValue;
};

/** Why work gave no result: it failed, a tool said no in its own words, or the run called it off. */
export type Trouble = Cause | 'refused' | 'cancelled';

export type TroubleOf = (error: unknown) => Trouble;

/** Spans around what an activity asks of others. The work is done whether or not anybody records. */
export type Spans = {
  readonly chat: <Reply>(
    call: ChatCall,
    work: () => Promise<Reply>,
    read: { readonly reply: (reply: Reply) => ChatReply; readonly trouble: TroubleOf },
  ) => Promise<Reply>;
  readonly tool: (
    call: ToolSpan,
    work: () => Promise<JsonValue>,
    read: { readonly trouble: TroubleOf },
  ) => Promise<JsonValue>;
};

/** Makes the spans of activities. Words of prompts, replies, arguments and results stay out unless `capturesContent`. */
export function createSpans(tracer: Tracer, { capturesContent }: { readonly capturesContent: boolean }): Spans {
  return {
    chat: (call, work, read) => {
      const asked = { ...chatAttributes(call), ...(capturesContent ? contentAsked(call) : {}) };
      return record(tracer, `chat ${modelOf(call.modelId)}`, SpanKind.CLIENT, asked, work, {
        trouble: read.trouble,
        result: (reply) => {
          const answered = read.reply(reply);
          const content = capturesContent ? contentAnswered(answered) : {};
          return { ...replyAttributes(answered, call.isCostSimulated), ...content };
        },
      });
    },
    tool: (call, work, { trouble }) => {
      const asked = toolAttributes(call);
      const content = capturesContent ? { [ATTRIBUTES.toolArguments]: JSON.stringify(call.input) } : {};
      return record(tracer, `execute_tool ${call.tool}`, SpanKind.INTERNAL, { ...asked, ...content }, work, {
        trouble,
        result: (output) => (capturesContent ? { [ATTRIBUTES.toolResult]: JSON.stringify(output) } : {}),
      });
    },
  };
}

/** Gives name and attributes of a run's first span, which is written when the run ends. */
export function runSpan(run: {
  readonly id: string;
  readonly tenant: string;
  readonly agent: string;
  readonly end: RunEnd;
}): { readonly name: string; readonly attributes: Attributes } {
  const { id, tenant, agent, end } = run;
  const { outcome, release } = end;
  return {
    name: `invoke_agent ${agent}`,
    attributes: {
      [ATTRIBUTES.operation]: 'invoke_agent',
      [ATTRIBUTES.provider]: 'perdure',
      [ATTRIBUTES.conversation]: id,
      [ATTRIBUTES.agentName]: agent,
      ...(release === null ? {} : { [ATTRIBUTES.agentVersion]: release, [ATTRIBUTES.release]: release }),
      [ATTRIBUTES.run]: id,
      [ATTRIBUTES.tenant]: tenant,
      [ATTRIBUTES.agent]: agent,
      [ATTRIBUTES.outcome]: outcome.kind,
      [ATTRIBUTES.turns]: end.turns,
      [ATTRIBUTES.toolCalls]: end.toolCalls,
      [ATTRIBUTES.tokens]: end.tokens,
      [ATTRIBUTES.costUsd]: Number(end.costPico) / 1e12,
      ...(outcome.kind === 'failed' ? { [ATTRIBUTES.errorType]: outcome.cause } : {}),
    },
  };
}

/** Runs work inside a span that ends with it. */
async function record<Result>(
  tracer: Tracer,
  name: string,
  kind: SpanKind,
  attributes: Attributes,
  work: () => Promise<Result>,
  read: { readonly result: (result: Result) => Attributes; readonly trouble: TroubleOf },
): Promise<Result> {
  return tracer.startActiveSpan(name, { kind, attributes }, async (span) => {
    try {
      const result = await work();
      span.setAttributes(read.result(result));
      return result;
    } catch (error) {
      // Only the word for it: what was thrown may repeat what was said.
      const trouble = read.trouble(error);
      if (trouble === 'refused' || trouble === 'cancelled') span.setAttribute(ATTRIBUTES.outcome, trouble);
      else span.setAttribute(ATTRIBUTES.errorType, trouble).setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Names of the conventions, for providers that have another name in our ids. */
const PROVIDERS: Readonly<Record<string, string>> = {
  'openai-responses': 'openai',
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  google: 'gcp.gemini',
  mistral: 'mistral_ai',
  xai: 'x_ai',
};

/** Names the provider of a model as OpenTelemetry's conventions do, where they know it. */
export function providerName(modelId: string): string {
  const provider = modelId.slice(0, Math.max(0, modelId.indexOf(':')));
  return Object.hasOwn(PROVIDERS, provider) ? (PROVIDERS[provider] ?? provider) : provider;
}

function chatAttributes(call: ChatCall): Attributes {
  return {
    [ATTRIBUTES.operation]: 'chat',
    [ATTRIBUTES.provider]: providerName(call.modelId),
    [ATTRIBUTES.conversation]: call.run,
    [ATTRIBUTES.requestModel]: modelOf(call.modelId),
    [ATTRIBUTES.requestTokensMax]: call.outputTokensMax,
    [ATTRIBUTES.requestStream]: true,
    ...(call.temperature === null ? {} : { [ATTRIBUTES.requestTemperature]: call.temperature }),
    ...callAttributes(call),
  };
}

function replyAttributes({ usage, ...reply }: ChatReply, isCostSimulated: boolean): Attributes {
  return {
    [ATTRIBUTES.responseModel]: reply.modelId,
    ...(reply.requestId === null ? {} : { [ATTRIBUTES.responseId]: reply.requestId }),
    [ATTRIBUTES.finishReasons]: [finishReason(reply.stopReason)],
    [ATTRIBUTES.inputTokens]: usage.inputTokens,
    [ATTRIBUTES.outputTokens]: usage.outputTokens,
    [ATTRIBUTES.cacheReadTokens]: usage.cacheReadTokens,
    [ATTRIBUTES.cacheWriteTokens]: usage.cacheWriteTokens,
    [ATTRIBUTES.reasoningTokens]: usage.reasoningTokens,
    [ATTRIBUTES.costUsd]: Number(reply.costPico) / 1e12,
    [ATTRIBUTES.isCostSimulated]: isCostSimulated,
  };
}

function toolAttributes(call: ToolSpan): Attributes {
  return {
    [ATTRIBUTES.operation]: 'execute_tool',
    [ATTRIBUTES.toolName]: call.tool,
    [ATTRIBUTES.toolCallId]: call.toolCallId,
    [ATTRIBUTES.toolType]: 'function',
    ...callAttributes(call),
  };
}

function callAttributes({ run, tenant, agent, release, turn, attempt }: CallOfRun): Attributes {
  return {
    [ATTRIBUTES.run]: run,
    [ATTRIBUTES.tenant]: tenant,
    [ATTRIBUTES.agent]: agent,
    [ATTRIBUTES.release]: release,
    [ATTRIBUTES.turn]: turn,
    [ATTRIBUTES.attempt]: attempt,
  };
}

function contentAsked({ instructions, parts }: ChatCall): Attributes {
  return {
    [ATTRIBUTES.systemInstructions]: JSON.stringify(systemInstructions(instructions)),
    [ATTRIBUTES.inputMessages]: JSON.stringify(inputMessages(parts)),
  };
}

function contentAnswered({ parts, stopReason }: ChatReply): Attributes {
  return { [ATTRIBUTES.outputMessages]: JSON.stringify(outputMessages(parts, finishReason(stopReason))) };
}

/** Says in OpenTelemetry's words why a reply ended. */
function finishReason(stopReason: ChatReply['stopReason']): string {
  return stopReason === 'stop' ? 'stop' : 'tool_call';
}

function modelOf(modelId: string): string {
  return modelId.slice(modelId.indexOf(':') + 1);
}
