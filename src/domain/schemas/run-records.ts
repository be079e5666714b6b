import type { JsonValue } from '../json.ts';
import type { Phase } from '../run/phase.ts';
import type { RunEnd } from '../run/run-end.ts';
import type { Blocked } from '../run/run.ts';

/** What is written about a run. Money is pico-dollars as a decimal string. */
export type RunRecord = {
  readonly tenant: string;
  readonly id: string;
  readonly agent: string;
  readonly kind: string;
  readonly mode: string;
  readonly release: string;
  readonly principal: string;
  readonly phase: Phase;
  readonly blocked: Blocked | null;
  readonly end: RunEnd | null;
  readonly turns: number;
  readonly toolCalls: number;
  readonly tokens: number;
  readonly costPico: string;
  /** Reserved for calls whose cost nobody knows: killed attempts, and the one in flight. */
  readonly heldPico: string;
  readonly capPico: string;
  /** Whether any price of the run was made up, as rehearsals' are. */
  readonly isCostSimulated: boolean;
  readonly createdAt: Date;
  readonly phaseAt: Date;
  readonly endedAt: Date | null;
  readonly deadlineAt: Date;
  /** The run that this one takes up, and the first turn that it makes itself. */
  readonly retryOf: { readonly id: string; readonly fromTurn: number } | null;
  /** Ids of the runs that take up this one, the first one first. */
  readonly retriedAs: readonly string[];
};

export type RunFilter = {
  readonly agent?: string;
  readonly phase?: Phase;
  /** At most so many, the newest first. Default 20, at most 1,000. */
  readonly limit?: number;
};

/** One attempt at a model call or a tool call. */
export type TimelineEntry = {
  readonly id: string;
  readonly turn: number;
  readonly callIndex: number | null;
  readonly kind: 'model' | 'tool' | 'compact';
  /** Model id, or tool name and major version. */
  readonly name: string;
  /** What the model asked a tool for. Null for model calls, and where it is over 1 KiB. */
  readonly args: JsonValue;
  /** Counted over all attempts at this call, from 1. */
  readonly attempt: number;
  readonly worker: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly durationMs: number | null;
  /** What became of it. `killed`: its process died. `open`: it is the newest attempt of a run that goes on. */
  readonly outcome: string;
  readonly cause: string | null;
  readonly message: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly cacheReadTokens: number | null;
  readonly cacheWriteTokens: number | null;
  /** Tier of the release that a model call was made for; null for tools, and for calls of builds before tiers were written. */
  readonly tier?: string | null;
  /** Why another model was asked than the one of the tier, and which that is: `breaker-open openai:gpt-5`. Null where none was. */
  readonly fallback?: string | null;
  /** Null where it is not known; then `heldPico` is what it may have cost at most. */
  readonly costPico: string | null;
  readonly heldPico: string | null;
  readonly isCostSimulated: boolean;
};

/** What a person is asked about a call, and what was decided. */
export type ApprovalRecord = {
  readonly tenant: string;
  readonly id: string;
  readonly runId: string;
  readonly agent: string;
  readonly turn: number;
  readonly tool: string;
  /** Null when the text was erased. */
  readonly args: JsonValue;
  readonly argsHash: string;
  readonly rule: string;
  readonly state: string;
  readonly requestedAt: Date;
  readonly deadlineAt: Date;
  readonly decidedBy: string | null;
  readonly reason: string | null;
};

/** A write in the effect ledger. */
export type EffectRecord = {
  readonly tenant: string;
  readonly key: string;
  readonly runId: string;
  readonly turn: number;
  readonly callIndex: number;
  /** Tool name and major version. */
  readonly tool: string;
  readonly state: string;
  /** Attempts so far. */
  readonly attempts: number;
  readonly createdAt: Date;
  readonly settledAt: Date | null;
};

/** Who did what, in the order it happened. */
export type AuditRecord = {
  readonly at: Date;
  readonly principal: string;
  readonly action: string;
  readonly target: string;
  readonly before: object | null;
  readonly after: object | null;
};

/** All that is given must fit. */
export type ApprovalFilter = { readonly agentRunId?: string; readonly id?: string; readonly state?: string };

/** All that is given must fit. */
export type EffectFilter = { readonly agentRunId?: string; readonly key?: string; readonly state?: string };

/** A call of a deferred tool. */
export type DeferredRecord = {
  readonly tenant: string;
  readonly token: string;
  readonly runId: string;
  readonly agent: string;
  readonly turn: number;
  readonly callIndex: number;
  /** Tool name and major version. */
  readonly tool: string;
  readonly state: string;
  /** What the tool returned when it had begun; null where it returned nothing. */
  readonly note: JsonValue;
  readonly createdAt: Date;
  readonly deadlineAt: Date;
  readonly completedBy: string | null;
  readonly completedAt: Date | null;
};

/** All that is given must fit. */
export type DeferredFilter = { readonly agentRunId?: string; readonly state?: string };

/** What the database knows of a conversation: which of its runs there are, and what became of one message. */
export type ConversationRecord = {
  /** Those of the runs asked for that have a row, in the same order: `startedAs`, and the newest run that has taken it up, else itself. */
  readonly parts: readonly { readonly startedAs: string; readonly agentRunId: string; readonly end: RunEnd | null }[];
  /** Null until a run has taken the message in. */
  readonly message: MessageRecord | null;
};

/** A message that a run has taken in. */
export type MessageRecord = {
  /** The run that answers it: another one than took it in, where that one has been taken up. */
  readonly agentRunId: string;
  /** `input` and `answer` are what is said to an agent; other kinds steer the run. */
  readonly kind: string;
  /** Turns of the run before the message. */
  readonly turnsBefore: number;
  /** First turn whose model call had the message; null until then. */
  readonly heardAt: number | null;
  /** What the agent said to it: an answer, or a question of its own. Null until then, and where the run ended before. */
  readonly reply: { readonly kind: 'answer' | 'question'; readonly turn: number; readonly text: string } | null;
};
