import { Client, type ClientInterceptors, type Connection } from '@temporalio/client';
import type { DeferredResult } from '../domain/run/message.ts';
import { completeTool } from './complete-tool.ts';
import type { AttachmentWriter } from './attachments.ts';
import type { TextInput } from './check-input.ts';
import type { ClientContext } from './context.ts';
import { createRunHandle, type MessageOptions, type RunHandle } from './run-handle.ts';
import type { RunReader } from './run-reader.ts';
import { type RetryOptions, retryRun } from './retry-run.ts';
import type { SendReceipt } from './send-message.ts';
import type { SentMessage } from './reply.ts';
import { startFromWebhook, type WebhookRequest, type WebhookStartOptions } from './webhooks.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import { findConversation, type FindConversationOptions, sendToConversation, type SendOptions } from './send.ts';
import { type StartOptions, startRun } from './start-run.ts';

export type ClientSetup = {
  readonly connection: Connection;
  readonly namespace: string;
  /** Task queue of runs. Default `perdure-agents`; it is the workers' queue prefix and `-agents`. */
  readonly taskQueue?: string;
  /** Where texts are read; see `RunReader`. Without one, `answer` and `follow` throw `ReaderMissing`. */
  readonly reader?: RunReader;
  /** Where files are kept before they are sent; see `AttachmentWriter`. Without one, attachments are refused. */
  readonly attachments?: AttachmentWriter;
  /** Who acts where a call does not say. Default: the account of this process, else `anonymous`. */
  readonly principal?: string;
  /** Milliseconds that an update or a query may take before the client goes on without a worker. Default 3,000. */
  readonly answerMs?: number;
  /** Interceptors of Temporal's client, such as the tracing of `startTelemetry`. Default none. */
  readonly interceptors?: ClientInterceptors;
};

export type PerdureClient = {
  /** Starts a run, or finds the one that was started under the same key. Throws `InvalidInput` before anything is sent. */
  readonly start: (options: StartOptions) => Promise<RunHandle>;
  /**
   * Starts a run that takes up one that has ended, from what is stored of it. Needs a reader. Throws `RunNotFound`, and `InvalidInput` when
   * the run has not ended or has no such turn.
   */
  readonly retry: (agentRunId: string, options?: RetryOptions) => Promise<RunHandle>;
  /**
   * Says something to an agent: begins the conversation of this id, or goes on with it. The message is recorded when this resolves; the
   * reply is awaited with `reply` or `follow`. Needs a reader. Throws `InvalidInput` before anything is sent.
   */
  readonly send: (conversationId: string, message: TextInput, options: SendOptions) => Promise<SentMessage>;
  /** Finds the run that a conversation has come to; null where nothing was said. Needs a reader. */
  readonly findConversation: (conversationId: string, options: FindConversationOptions) => Promise<RunHandle | null>;
  readonly schedules: Schedules;
  /** Starts a run for a signed request, once for each message. Throws `WebhookRefused` with an HTTP status. */
  readonly startFromWebhook: (request: WebhookRequest, options: WebhookStartOptions) => Promise<RunHandle>;
  /** Gives the handle of a run without any call. */
  readonly run: (agentRunId: string, options?: { readonly tenant?: string }) => RunHandle;
  /**
   * Gives a deferred tool call its result: `{ output }` with JSON, or `{ error }` with words for the model. The token is all that it needs.
   * Without a key, the same result of the same call is applied once.
   */
  readonly completeTool: (token: string, result: DeferredResult, options?: MessageOptions) => Promise<SendReceipt>;
};

/** Five seconds: a worker answers in milliseconds, a busy one in seconds, and a person still waits for the word that nobody answered. */
const ANSWER_MS = 5_000;

/** Makes a client on a connection of the caller's. Its `grpc.max_receive_message_length` should be raised, as `connect` does. */
export function createClient(setup: ClientSetup): PerdureClient {
  const { connection, namespace } = setup;
  const context: ClientContext = {
    temporal: new Client({
      connection,
      namespace,
      ...(setup.interceptors === undefined ? {} : { interceptors: setup.interceptors }),
    }),
    namespace,
    taskQueue: setup.taskQueue ?? 'perdure-agents',
    reader: setup.reader ?? null,
    attachments: setup.attachments ?? null,
    principal: setup.principal ?? accountName(),
    answerMs: setup.answerMs ?? ANSWER_MS,
  };
  return {
    start: async (options) => {
      const { id, tenant } = await startRun(context, options);
      return createRunHandle(context, id, tenant);
    },
    retry: async (agentRunId, options) => {
      const { id, tenant } = await retryRun(context, agentRunId, options);
      return createRunHandle(context, id, tenant);
    },
    send: (conversationId, message, options) => sendToConversation(context, conversationId, message, options),
    findConversation: (conversationId, options) => findConversation(context, conversationId, options),
    schedules: createSchedules(context),
    startFromWebhook: async (request, options) => {
      const { id, tenant } = await startFromWebhook(context, request, options);
      return createRunHandle(context, id, tenant);
    },
    run: (agentRunId, { tenant } = {}) => createRunHandle(context, agentRunId, tenant ?? null),
    completeTool: (token, result, options) => completeTool(context, token, result, options),
  };
}

function accountName(): string {
  return process.env['USER'] || process.env['USERNAME'] || 'anonymous';
}
