import type { Delta, Listen } from '../domain/stream/stream.ts';
import type { Db } from './database.ts';
import { type NewChunk, notifyNews, numberAttempts, writeChunks } from './stream-chunks.ts';
import { ensureStreamPartitions } from './stream-partitions.ts';

/** Milliseconds between two inserts of a process: what its calls say meanwhile goes together. */
const FLUSH_MS = 5;

/** Milliseconds until a write that failed is tried again. */
const RETRY_MS = 250;

/** How long chunks that cannot be written are kept, in milliseconds. Whoever reads along has the reply's end by then, or the next attempt. */
const UNWRITTEN_MS = 30_000;

/** Characters that a process keeps while the database is slow. A reader is told of what was beyond them as of a gap. */
const WAITING_LENGTH_MAX = 8_000_000;

/** Chunks of one insert. */
const CHUNKS_PER_INSERT = 2_000;

/** How long a process that stops waits for its last words to be written, in milliseconds. */
const CLOSING_MS = 1_000;

/** What an attempt says. A null stands for words that were dropped. */
type Stream = {
  readonly tenant: string;
  readonly runId: string;
  readonly turn: number;
  attempt: number | null;
  sequence: number;
  said: (Delta | null)[];
};

/** Carries what models say to the database, for all calls of a process. Nothing here makes a call wait or fail. */
export type StreamWriter = {
  /** Begins the stream of an attempt at a turn's call, and gives what hears it. */
  readonly open: (tenant: string, runId: string, turn: number) => Listen;
  /** Tells readers that a reply of the run is kept. */
  readonly settled: (runId: string) => void;
  /** Writes what is left, for a second at most, and ends. */
  readonly close: () => Promise<void>;
};

type State = {
  /** Attempts without a number, in the order they began. */
  fresh: Stream[];
  /** Attempts with words that wait. */
  readonly speaking: Set<Stream>;
  /** What is being written, or was tried in vain. */
  batch: { readonly chunks: readonly NewChunk[]; readonly length: number; readonly sinceMs: number } | null;
  /** Characters that wait, those of the batch included. */
  length: number;
  /** Runs with news that readers are not told yet. */
  readonly said: Set<string>;
  readonly settled: Set<string>;
  /** Runs whose settled reply is told once the words before it are written. */
  readonly settling: Set<string>;
  timer: NodeJS.Timeout | null;
  writing: Promise<void> | null;
  notifying: Promise<void> | null;
};

/**
 * Makes the writer of a process. Its database should have two connections of its own, one that writes and one that notifies, so that it
 * neither waits for the ledger's nor takes one from it.
 *
 * @param onTrouble hears of writes that failed.
 */
export function createStreamWriter(db: Db, onTrouble: (error: unknown) => void): StreamWriter {
  const state: State = {
    fresh: [],
    speaking: new Set(),
    batch: null,
    length: 0,
    said: new Set(),
    settled: new Set(),
    settling: new Set(),
    timer: null,
    writing: null,
    notifying: null,
  };
  const work = (): void => {
    state.timer = null;
    if (state.writing !== null) return;
    state.writing = write();
  };
  const write = async (): Promise<void> => {
    const isWritten = await flush(db, state, onTrouble);
    state.writing = null;
    if (state.notifying === null && hasNews(state)) state.notifying = tellNews(db, state, onTrouble);
    if (hasWork(state)) plan(isWritten ? FLUSH_MS : RETRY_MS);
  };
  const plan = (ms: number): void => {
    if (state.writing === null) state.timer ??= setTimeout(work, ms);
  };
  return {
    open: (tenant, runId, turn) => {
      const stream: Stream = { tenant, runId, turn, attempt: null, sequence: 0, said: [] };
      state.fresh.push(stream);
      plan(0);
      return (delta) => {
        say(state, stream, delta);
        plan(FLUSH_MS);
      };
    },
    settled: (runId) => {
      state.settling.add(runId);
      plan(0);
    },
    close: async () => {
      plan(0);
      const givesUpAt = Date.now() + CLOSING_MS;
      while ((hasWork(state) || state.notifying !== null) && Date.now() < givesUpAt) {
        await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
      }
      if (state.timer !== null) clearTimeout(state.timer);
      // A connection that hangs is left to the end of the process.
      const left = new Promise((resolve) => setTimeout(resolve, CLOSING_MS).unref());
      await Promise.race([db.destroy(), left]);
    },
  };
}

function hasWork({ fresh, speaking, batch, settling, writing }: State): boolean {
  return fresh.length + speaking.size + settling.size > 0 || batch !== null || writing !== null;
}

function hasNews({ said, settled }: State): boolean {
  return said.size + settled.size > 0;
}

function say(state: State, stream: Stream, delta: Delta): void {
  if (delta.text === '') return;
  state.speaking.add(stream);
  const last = stream.said.at(-1);
  if (state.length + delta.text.length > WAITING_LENGTH_MAX) {
    if (last !== null) stream.said.push(null);
    return;
  }
  state.length += delta.text.length;
  if (last?.kind === delta.kind) stream.said[stream.said.length - 1] = { ...last, text: last.text + delta.text };
  else stream.said.push(delta);
}

/** Numbers new attempts and writes what was said. False where it has to be tried again. */
async function flush(db: Db, state: State, onTrouble: (error: unknown) => void): Promise<boolean> {
  try {
    const fresh = [...state.fresh];
    if (fresh.length > 0) {
      const numbers = await numberAttempts(db, fresh.length);
      for (const [at, stream] of fresh.entries()) stream.attempt = numbers[at] ?? null;
      state.fresh = state.fresh.slice(fresh.length);
    }
    state.batch ??= cut(state);
    if (state.batch.chunks.length > 0) await writeChunks(db, state.batch.chunks);
    for (const { runId } of state.batch.chunks) state.said.add(runId);
    endBatch(state);
    return true;
  } catch (error) {
    onTrouble(error);
    if (isWithoutPartition(error)) await ensureStreamPartitions(db).catch(onTrouble);
    if (state.batch !== null && performance.now() - state.batch.sinceMs > UNWRITTEN_MS) endBatch(state);
    return false;
  }
}

function endBatch(state: State): void {
  state.length -= state.batch?.length ?? 0;
  state.batch = null;
  if (state.settling.size === 0) return;
  const speaking = new Set([...state.speaking].map(({ runId }) => runId));
  for (const runId of state.settling) {
    if (speaking.has(runId)) continue;
    state.settling.delete(runId);
    state.settled.add(runId);
  }
}

/** Takes what waits and gives it sequences; where words were dropped one is left out. What was cut once stays so, however often it is written. */
function cut(state: State): NonNullable<State['batch']> {
  const chunks: NewChunk[] = [];
  let length = 0;
  for (const stream of state.speaking) {
    const { tenant, runId, turn, attempt } = stream;
    if (attempt === null) continue;
    if (chunks.length >= CHUNKS_PER_INSERT) break;
    for (const delta of stream.said) {
      stream.sequence += 1;
      if (delta === null) continue;
      length += delta.text.length;
      chunks.push({ tenant, runId, turn, attempt, sequence: stream.sequence, delta });
    }
    stream.said = [];
    state.speaking.delete(stream);
  }
  return { chunks, length, sinceMs: performance.now() };
}

/** Tells of what has come together, one notification at a time: the next has what came meanwhile. */
async function tellNews(db: Db, state: State, onTrouble: (error: unknown) => void): Promise<void> {
  while (hasNews(state)) {
    const news = { said: [...state.said], settled: [...state.settled] };
    state.said.clear();
    state.settled.clear();
    // What could not be told is found by readers that look now and then.
    await notifyNews(db, news).catch(onTrouble);
  }
  state.notifying = null;
}

function isWithoutPartition(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === '23514' && message?.includes('no partition') === true;
}
