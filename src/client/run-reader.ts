import type { MessagePart } from '../domain/model/message-part.ts';
import type { Ear, LookFor, StreamLook, StreamPosition } from '../domain/stream/stream.ts';
import type { RunReceipt } from '../domain/schemas/receipt.ts';
import type {
  ApprovalFilter,
  ApprovalRecord,
  AuditRecord,
  DeferredFilter,
  DeferredRecord,
  ConversationRecord,
  EffectFilter,
  EffectRecord,
  RunFilter,
  RunRecord,
  TimelineEntry,
} from '../domain/schemas/run-records.ts';

/**
 * Reads what is written about runs, texts included. A Temporal connection cannot: texts never enter history. The stores have an adapter
 * for PostgreSQL. A tenant of null reads across tenants: for people who hold the database, never for a request that is served.
 */
export type RunReader = {
  /** Finds the tenant of a run by the run's id alone. */
  readonly findTenant: (agentRunId: string) => Promise<string | null>;
  readonly run: (tenant: string, agentRunId: string) => Promise<RunRecord | null>;
  /** Lists runs, the newest first. */
  readonly runs: (tenant: string | null, filter?: RunFilter) => Promise<readonly RunRecord[]>;
  /** Lists every attempt at a model or tool call, in the order they began. */
  readonly timeline: (tenant: string, agentRunId: string) => Promise<readonly TimelineEntry[]>;
  /** Gives what every attempt cost, with the account that must agree. */
  readonly receipt: (tenant: string, agentRunId: string) => Promise<RunReceipt | null>;
  /** Gives the text of the newest whole answer. */
  readonly answer: (tenant: string, agentRunId: string) => Promise<string | null>;
  /** Lists what was said and done, as the model reads it. */
  readonly transcript: (tenant: string, agentRunId: string) => Promise<readonly MessagePart[]>;
  /** The same with the turns that summaries stand for, in their places. */
  readonly wholeTranscript: (tenant: string, agentRunId: string) => Promise<readonly MessagePart[]>;
  /** Tells which of these runs there are, and what became of the message of a key in them. Runs of one conversation, the oldest first. */
  readonly conversation: (
    tenant: string,
    agentRunIds: readonly string[],
    messageKey: string | null,
  ) => Promise<ConversationRecord>;
  readonly approvals: (tenant: string | null, filter?: ApprovalFilter) => Promise<readonly ApprovalRecord[]>;
  readonly effects: (tenant: string | null, filter?: EffectFilter) => Promise<readonly EffectRecord[]>;
  /** Lists calls of deferred tools, the next deadline first. */
  readonly deferredCalls: (tenant: string | null, filter?: DeferredFilter) => Promise<readonly DeferredRecord[]>;
  /** Lists who did what to the run, its approvals and its effects. */
  readonly audit: (tenant: string, agentRunId: string) => Promise<readonly AuditRecord[]>;
  readonly streams: StreamSource;
};

/** Reads what models say while they say it. */
export type StreamSource = {
  /** Gives what is behind a position: chunks that are not settled, and with `all` the settled replies and whether the run has ended. */
  readonly look: (tenant: string, agentRunId: string, after: StreamPosition, lookFor: LookFor) => Promise<StreamLook>;
  /** Listens to a run; null where nobody tells, so that one has to look now and then. */
  readonly listen: (agentRunId: string) => Ear | null;
};
