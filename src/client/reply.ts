import type { RunEnd } from '../domain/run/run-end.ts';
import type { ApprovalRecord, MessageRecord, TimelineEntry } from '../domain/schemas/run-records.ts';
import type { ClientContext } from './context.ts';
import { type CheckedMessage, deliverMessage, type Delivery } from './deliver-message.ts';
import { createMemory, type FollowOptions, isAborted, isClosed, type RunProgress } from './follow-run.ts';
import { pause } from './pause.ts';
import type { RunReader } from './run-reader.ts';
import { type ReplyStreamProgress, streamReply } from './stream-reply.ts';

/** What the turns of a reply used. Money is pico-dollars as a decimal string. */
export type ReplyUsage = {
  readonly turns: number;
  readonly toolCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costPico: string;
  /** Reserved for calls whose cost nobody knows, as after a killed worker. */
  readonly heldPico: string;
  readonly isCostSimulated: boolean;
};

/** What became of a message. */
export type Reply =
  | {
      /** `asked`: the agent wants to know something first; the next message answers it. */
      readonly kind: 'answered' | 'asked';
      readonly agentRunId: string;
      readonly text: string;
      readonly usage: ReplyUsage;
    }
  | {
      /** The conversation is over, and there is no reply. */
      readonly kind: 'ended';
      readonly agentRunId: string;
      /** Null where the execution was terminated and has no end. */
      readonly end: RunEnd | null;
      /**
       * Whether the run had taken the message in: it may have acted on it, and the key never starts another turn. A message that was not
       * taken in may be sent again with the same key.
       */
      readonly wasTaken: boolean;
    };

/** What happens until the reply, and the reply. */
export type ReplyProgress =
  | Exclude<RunProgress, { kind: 'ended' }>
  /** A person must decide about a call before the agent goes on. */
  | { readonly kind: 'approval'; readonly approval: ApprovalRecord }
  | { readonly kind: 'reply'; readonly reply: Reply };

/** A message that is recorded: the run takes it in whatever happens to this process. */
export type SentMessage = {
  /** The run that it went to. */
  readonly agentRunId: string;
  /**
   * Waits for the reply, however long a person takes to approve a call.
   *
   * @throws the signal's reason when it is aborted first.
   */
  readonly reply: (options?: FollowOptions) => Promise<Reply>;
  /** Tells what the agent does about the message, and the reply at last. */
  readonly follow: (options?: FollowOptions) => AsyncIterable<ReplyProgress>;
  /** Tells what the agent says about the message while it says it, and the reply at last. */
  readonly stream: (options?: FollowOptions) => AsyncIterable<ReplyStreamProgress>;
};

/** Milliseconds between two questions to Temporal, which knows of ends that the run's row cannot tell. */
const TEMPORAL_POLL_MS = 1_000;

/** Makes what a sender holds of a message. */
export function sentMessage(
  context: ClientContext,
  reader: RunReader,
  message: CheckedMessage,
  delivery: Delivery,
): SentMessage {
  const follow = (options: FollowOptions = {}) => followReply(context, reader, message, delivery, options);
  const reply = async (options?: FollowOptions): Promise<Reply> => {
    for await (const progress of follow(options)) if (progress.kind === 'reply') return progress.reply;
    throw options?.signal?.reason;
  };
  return {
    agentRunId: delivery.agentRunId,
    follow,
    reply,
    stream: (options) => streamReply(context, reader, message, delivery, reply, options),
  };
}

async function* followReply(
  context: ClientContext,
  reader: RunReader,
  message: CheckedMessage,
  first: Delivery,
  { pollMs = 200, signal }: FollowOptions,
): AsyncGenerator<ReplyProgress> {
  const { tenant } = message.place;
  const memory = createMemory();
  const asked = new Set<string>();
  let delivery = first;
  let askAtMs = Date.now() + TEMPORAL_POLL_MS;
  while (!isAborted(signal)) {
    const { agentRunId } = delivery;
    // Asked before the rows are read: what a run did last is in them by then.
    const isOver = Date.now() >= askAtMs && (await isClosed(context, agentRunId));
    if (Date.now() >= askAtMs) askAtMs = Date.now() + TEMPORAL_POLL_MS;
    const { parts, message: taken } = await reader.conversation(tenant, [agentRunId], message.body.id);
    const [part] = parts;
    const answering = taken?.agentRunId ?? part?.agentRunId ?? agentRunId;
    if (delivery.kind === 'delivered' && answering !== agentRunId) {
      // The run has ended, and another one has taken it up.
      delivery = { kind: 'delivered', agentRunId: answering };
      continue;
    }
    const timeline = taken === null ? [] : await reader.timeline(tenant, agentRunId);
    yield* memory.news(timeline.filter((entry) => taken !== null && turnOf(entry) > taken.turnsBefore));
    const reply = taken === null ? null : replyOf(taken, timeline);
    if (reply !== null) return yield { kind: 'reply', reply };
    const isNewest = part?.agentRunId === agentRunId;
    const hasEnded = delivery.kind === 'ended' || isOver || (isNewest && part.end !== null);
    if (hasEnded) {
      const end = isNewest ? part.end : ((await reader.run(tenant, agentRunId))?.end ?? null);
      if (taken !== null) return yield { kind: 'reply', reply: { kind: 'ended', agentRunId, end, wasTaken: true } };
      // The run ended before it took the message in: there may be another one to take it.
      if (delivery.kind === 'delivered') delivery = await deliverMessage(context, reader, message);
      if (delivery.kind === 'ended') return yield { kind: 'reply', reply: { ...delivery, wasTaken: false } };
      continue;
    }
    const record = taken === null ? null : await reader.run(tenant, agentRunId);
    if (record !== null) {
      yield* memory.phase(record.phase, record.blocked);
      if (record.phase === 'waiting') yield* await newApprovals(reader, tenant, agentRunId, asked);
    }
    await pause(Math.max(20, pollMs), signal);
  }
}

async function newApprovals(
  reader: RunReader,
  tenant: string,
  agentRunId: string,
  asked: Set<string>,
): Promise<readonly ReplyProgress[]> {
  const pending = await reader.approvals(tenant, { agentRunId, state: 'pending' });
  const news = pending.filter(({ id }) => !asked.has(id));
  for (const { id } of news) asked.add(id);
  return news.map((approval) => ({ kind: 'approval', approval }));
}

function replyOf({ agentRunId, heardAt, reply }: MessageRecord, timeline: readonly TimelineEntry[]): Reply | null {
  if (reply === null || heardAt === null) return null;
  const entries = timeline.filter((entry) => turnOf(entry) >= heardAt && turnOf(entry) <= reply.turn);
  const kind = reply.kind === 'answer' ? 'answered' : 'asked';
  return { kind, agentRunId, text: reply.text, usage: usageOf(entries, reply.turn - heardAt + 1) };
}

/** A compaction makes room for the turn after the one that it follows. */
function turnOf({ kind, turn }: TimelineEntry): number {
  return kind === 'compact' ? turn + 1 : turn;
}

function usageOf(entries: readonly TimelineEntry[], turns: number): ReplyUsage {
  const calls = entries.filter(({ kind, closedAt }) => kind === 'tool' && closedAt !== null);
  const sum = (count: (entry: TimelineEntry) => number): number =>
    entries.reduce((total, entry) => total + count(entry), 0);
  const sumPico = (pico: (entry: TimelineEntry) => string | null): string =>
    String(entries.reduce((total, entry) => total + BigInt(pico(entry) ?? 0), 0n));
  return {
    turns,
    toolCalls: new Set(calls.map(({ turn, callIndex }) => `${turn} ${callIndex}`)).size,
    inputTokens: sum(({ inputTokens }) => inputTokens ?? 0),
    outputTokens: sum(({ outputTokens }) => outputTokens ?? 0),
    costPico: sumPico(({ costPico }) => costPico),
    heldPico: sumPico(({ costPico, heldPico }) => (costPico === null ? heldPico : null)),
    isCostSimulated: entries.some((entry) => entry.isCostSimulated),
  };
}
