import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { JsonValue } from '../domain/json.ts';
import type { ApprovalDecision, RunMessage, RunMessageKind, TopUp } from '../domain/run/message.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { PendingDecision, RunState, RunUsage } from '../domain/run/views.ts';
import { approvalDecisionSchema, envelopeSchema, topUpSchema } from '../domain/schemas/messages.ts';
import type { StreamProgress } from '../domain/stream/stream.ts';
import { type MessageBody, pendingQuery, stateQuery, usageQuery } from '../workflows/agent-run.messages.ts';
import { askRun } from './ask-run.ts';
import { readShape, readText, type TextInput } from './check-input.ts';
import { type ClientContext, readerOf } from './context.ts';
import { RunNotFound } from './errors.ts';
import { findApproval } from './find-approval.ts';
import { type FollowOptions, followRun, type RunProgress } from './follow-run.ts';
import { followStream, type StreamOptions } from './follow-stream.ts';
import { awaitEnd } from './run-end.ts';
import { sendMessage, type SendReceipt, whyNotFound } from './send-message.ts';

export type MessageOptions = {
  /** The same key applies the message once, however often it is sent. Default: random. */
  readonly key?: string;
  /** Who sends it. Default: the client's principal. */
  readonly principal?: string;
};

export type DecideOptions = MessageOptions & {
  readonly decision: ApprovalDecision;
  /** Which approval. Default: the one that the run waits for. */
  readonly approvalId?: string;
  /**
   * Hash of the arguments that the person saw: the decision then holds for exactly these. Default: those that are pending when it is
   * sent, so pass it wherever a person looked earlier.
   */
  readonly argsHash?: string;
};

/** A run, as its client holds it. Making one calls nobody. Every message and question may throw `RunNotFound`. */
export type RunHandle = {
  readonly id: string;
  /** Tells whether Temporal knows the run. Needs no worker. */
  readonly exists: () => Promise<boolean>;
  /** Waits for the end, across continue-as-new and restarts of everything. */
  readonly result: () => Promise<RunEnd>;
  /** Gives the text of the newest whole answer, or null. Needs a reader. */
  readonly answer: () => Promise<string | null>;
  /**
   * Gives the newest answer of an agent that declares an output schema, as the value that it is; null where there is none. Needs a reader.
   *
   * @param schema Checks the value and gives it its type: a zod schema, or anything with its `parse`. Throws what that throws.
   * @throws SyntaxError when the answer is no JSON: the agent declares no output.
   */
  readonly output: <Output = JsonValue>(schema?: OutputSchema<Output>) => Promise<Output | null>;
  readonly state: () => Promise<RunState>;
  readonly pending: () => Promise<readonly PendingDecision[]>;
  readonly usage: () => Promise<RunUsage>;
  readonly decideApproval: (options: DecideOptions) => Promise<SendReceipt>;
  /** Answers the run's question, or says the next thing of a conversation. */
  readonly provideInput: (text: TextInput, options?: MessageOptions) => Promise<SendReceipt>;
  /** Gives guidance for the next turn. */
  readonly steer: (text: TextInput, options?: MessageOptions) => Promise<SendReceipt>;
  readonly topUpBudget: (topUp: TopUp, options?: MessageOptions) => Promise<SendReceipt>;
  /** Tries at once what the run is blocked on. */
  readonly retry: (options?: MessageOptions) => Promise<SendReceipt>;
  readonly pause: (options?: MessageOptions) => Promise<SendReceipt>;
  readonly resume: (options?: MessageOptions) => Promise<SendReceipt>;
  /** Ends the run at the next safe point: a write in flight finishes, nothing new starts. */
  readonly requestStop: (reason: TextInput, options?: MessageOptions) => Promise<SendReceipt>;
  /** Asks Temporal to cancel the run. It ends as after `requestStop`, without a reason and without an answer to the caller. */
  readonly cancel: () => Promise<void>;
  /** Tells what the run did and does, until it ends. Needs a reader. */
  readonly follow: (options?: FollowOptions) => AsyncIterable<RunProgress>;
  /** Tells what the run's models say while they say it, until the run ends. Needs a reader. */
  readonly stream: (options?: StreamOptions) => AsyncIterable<StreamProgress>;
};

/** What gives a value its type, as zod schemas do. */
export type OutputSchema<Output> = { readonly parse: (value: unknown) => Output };

/** Statuses of an execution that takes nothing more. */
const CLOSED: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/** Makes the handle of a run. A tenant of null is looked up where it is needed. */
export function createRunHandle(context: ClientContext, id: string, tenant: string | null): RunHandle {
  const send = async <Kind extends RunMessageKind>(
    kind: Kind,
    body: Omit<RunMessage & { kind: Kind }, 'kind' | 'id' | 'principal'>,
    { key = randomUUID(), principal = context.principal }: MessageOptions = {},
  ): Promise<SendReceipt> => {
    const envelope = readShape(envelopeSchema, { id: key, principal });
    return sendMessage(context, id, kind, { ...body, ...envelope } as unknown as MessageBody<Kind>);
  };
  return {
    id,
    exists: async () => {
      try {
        await context.temporal.workflow.getHandle(id).describe();
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    result: () => awaitEnd(context, id, tenant),
    answer: async () => {
      const reader = readerOf(context, 'answer()');
      const owner = tenant ?? (await reader.findTenant(id));
      if (owner === null) throw new RunNotFound(id, 'the database');
      return reader.answer(owner, id);
    },
    output: async <Output>(schema?: OutputSchema<Output>) => {
      const reader = readerOf(context, 'output()');
      const owner = tenant ?? (await reader.findTenant(id));
      if (owner === null) throw new RunNotFound(id, 'the database');
      const text = await reader.answer(owner, id);
      if (text === null) return null;
      const value: unknown = JSON.parse(text);
      return schema === undefined ? (value as Output) : schema.parse(value);
    },
    state: () => askRun(context, id, stateQuery),
    pending: () => askRun(context, id, pendingQuery),
    usage: () => askRun(context, id, usageQuery),
    decideApproval: async (options) => {
      const decision = readDecision(options.decision);
      return send('decideApproval', { ...(await findApproval(context, id, tenant, options)), decision }, options);
    },
    provideInput: async (text, options) => send('provideInput', { text: readText('text', text) }, options),
    steer: async (text, options) => send('steer', { text: readText('text', text) }, options),
    topUpBudget: async (topUp, options) =>
      send('topUpBudget', { topUp: readShape(topUpSchema, topUp) as TopUp }, options),
    retry: (options) => send('retry', {}, options),
    pause: (options) => send('pause', {}, options),
    resume: (options) => send('resume', {}, options),
    requestStop: async (reason, options) => send('requestStop', { reason: readText('reason', reason) }, options),
    cancel: async () => {
      try {
        const execution = context.temporal.workflow.getHandle(id);
        // Temporal takes the cancellation of a closed execution as well, and nothing comes of it.
        const { status } = await execution.describe();
        if (CLOSED.includes(status.name)) throw await whyNotFound(context, id, new Error(`it is ${status.name}`));
        await execution.cancel();
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) throw await whyNotFound(context, id, error);
        throw error;
      }
    },
    follow: (options = {}) => followRun(context, id, tenant, options),
    stream: (options = {}) => followStream(context, id, tenant, options),
  };
}

function readDecision(decision: ApprovalDecision): ApprovalDecision {
  const parsed = readShape(approvalDecisionSchema, decision);
  switch (parsed.kind) {
    case 'reject':
      return { ...parsed, reason: readText('reason', parsed.reason) };
    case 'respond':
      return { ...parsed, text: readText('text', parsed.text) };
    case 'approve':
    case 'edit':
      return parsed;
  }
}
