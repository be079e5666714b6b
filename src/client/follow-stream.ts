import { hear } from '../domain/stream/hear.ts';
import {
  type News,
  STREAM_START,
  type StreamLook,
  type StreamPosition,
  type StreamProgress,
} from '../domain/stream/stream.ts';
import { type ClientContext, readerOf } from './context.ts';
import { isAborted, isClosed } from './follow-run.ts';
import { pause } from './pause.ts';
import type { StreamSource } from './run-reader.ts';

export type StreamOptions = {
  /** Where to go on: the `position` of what was told last. Default: the beginning, with every reply that the run has given. */
  readonly after?: StreamPosition;
  /** Stops reading; the run goes on. */
  readonly signal?: AbortSignal;
};

/** Milliseconds between two looks where nothing was heard: of a notification that was lost, or of a run whose worker could not tell. */
const LOOK_MS = 1_000;

/** Milliseconds between two looks where nobody tells. */
const UNTOLD_LOOK_MS = 100;

/** Milliseconds between two questions to Temporal, which knows of ends that the run's row cannot tell: a refusal, a termination. */
const TEMPORAL_POLL_MS = 2_000;

/** Milliseconds for an answer of Temporal. */
const TEMPORAL_ANSWER_MS = 1_000;

/** A database that is away for longer is reported, in milliseconds. */
const DATABASE_AWAY_MS = 60_000;

/**
 * Tells what the models of a run say until the run ends.
 *
 * @param enough Ends it after one more look.
 */
export async function* followStream(
  context: ClientContext,
  agentRunId: string,
  tenant: string | null,
  { after = STREAM_START, signal }: StreamOptions,
  enough?: AbortSignal,
): AsyncGenerator<StreamProgress> {
  const reader = readerOf(context, 'stream()');
  const stopping = [signal, enough].filter((each) => each !== undefined);
  const stopped = AbortSignal.any(stopping);
  const ear = reader.streams.listen(agentRunId);
  const look = patientLook(reader.streams, agentRunId);
  let position = after;
  let owner = tenant;
  let news: News | null = null;
  const execution = watchExecution(context, agentRunId);
  try {
    while (!isAborted(signal)) {
      owner ??= await reader.findTenant(agentRunId);
      const isLast = isAborted(enough);
      // Known before the rows are read: what a run did last is in them by then.
      const hasEnded = execution.isClosed();
      const isQuiet = news?.isSettled === false && !isLast && !hasEnded;
      const found = owner === null ? null : await look(owner, position, isQuiet ? 'chunks' : 'all');
      const isOver = hasEnded || found?.isOver === true;
      const heard = hear(position, { ...(found ?? NOTHING), isOver });
      position = heard.position;
      yield* heard.told;
      if (found?.isFull === true) continue;
      if (isOver || isLast) return;
      news = (await ear?.next(LOOK_MS, stopped)) ?? null;
      if (ear === null) await pause(UNTOLD_LOOK_MS, stopped);
    }
  } finally {
    ear?.close();
    await execution.answered();
  }
}

const NOTHING: StreamLook = { chunks: [], replies: [], isOver: false, isFull: false };

/**
 * Asks Temporal beside the stream, which goes on however long that takes. A question is tried again by a timer that outlives a connection
 * which is closed, so it has a deadline, and the stream ends after it.
 */
function watchExecution(context: ClientContext, agentRunId: string) {
  let hasClosed = false;
  let asking: Promise<void> | null = null;
  let askAtMs = Date.now() + TEMPORAL_POLL_MS;
  const ask = async (): Promise<void> => {
    const question = () => isClosed(context, agentRunId);
    hasClosed = await context.temporal.withDeadline(Date.now() + TEMPORAL_ANSWER_MS, question).catch(() => false);
    asking = null;
    askAtMs = Date.now() + TEMPORAL_POLL_MS;
  };
  return {
    isClosed: (): boolean => {
      if (!hasClosed && Date.now() >= askAtMs) asking ??= ask();
      return hasClosed;
    },
    answered: async (): Promise<void> => {
      await asking;
    },
  };
}

/** Looks, and sees nothing while the database is away for a while after it was there. */
function patientLook({ look }: StreamSource, agentRunId: string) {
  let lastMs: number | null = null;
  return async (owner: string, position: StreamPosition, lookFor: 'chunks' | 'all'): Promise<StreamLook | null> => {
    try {
      const found = await look(owner, agentRunId, position, lookFor);
      lastMs = Date.now();
      return found;
    } catch (error) {
      if (lastMs === null || Date.now() - lastMs > DATABASE_AWAY_MS) throw error;
      return null;
    }
  };
}
