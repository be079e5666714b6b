import { Client } from 'pg';
import type { Ear, News } from '../domain/stream/stream.ts';
import { readNews, STREAM_CHANNEL, type StreamNews } from './stream-chunks.ts';

/** Milliseconds until a connection that broke is made again; doubled each time up to five seconds. */
const RECONNECT_MS = 200;
const RECONNECT_MS_MAX = 5_000;

/** How long a connection stays that nobody needs, in milliseconds: readers come and go. */
const LINGER_MS = 2_000;

export type StreamListener = {
  readonly listen: (runId: string) => Ear;
  readonly close: () => Promise<void>;
};

type Waiting = { news: News | null; wake: () => void };

/**
 * Makes the ears of a process. All of them share one connection, which is there while somebody listens. Where it breaks it is made again, and
 * everybody looks then: what was told meanwhile was told to nobody.
 */
export function createStreamListener(url: string): StreamListener {
  const ears = new Map<string, Set<Waiting>>();
  const tell = (runId: string, isSettled: boolean): void => {
    for (const ear of ears.get(runId) ?? []) {
      ear.news = { isSettled: isSettled || ear.news?.isSettled === true };
      ear.wake();
    }
  };
  const wire = keepWire(url, {
    isNeeded: () => ears.size > 0,
    opened: () => {
      for (const runId of ears.keys()) tell(runId, true);
    },
    told: ({ said, settled }) => {
      for (const runId of said) tell(runId, false);
      for (const runId of settled) tell(runId, true);
    },
  });
  return {
    listen: (runId) => {
      const ear: Waiting = { news: null, wake: () => undefined };
      const others = ears.get(runId) ?? new Set();
      ears.set(runId, others.add(ear));
      wire.open();
      return {
        next: (withinMs, signal) => nextOf(ear, withinMs, signal),
        close: () => {
          others.delete(ear);
          if (others.size === 0 && ears.get(runId) === others) ears.delete(runId);
          wire.linger();
        },
      };
    },
    close: async () => {
      ears.clear();
      await wire.close();
    },
  };
}

type WireUse = {
  readonly isNeeded: () => boolean;
  readonly opened: () => void;
  readonly told: (news: StreamNews) => void;
};

/** Keeps a listening connection while it is needed. */
function keepWire(url: string, use: WireUse) {
  let client: Client | null = null;
  let pauseMs = RECONNECT_MS;
  let timer: NodeJS.Timeout | null = null;
  const later = (ms: number, work: () => void): void => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(work, ms);
  };
  const connect = (): void => {
    const made = new Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: RECONNECT_MS_MAX });
    client = made;
    const lost = (): void => {
      if (client !== made) return;
      client = null;
      made.end().catch(() => undefined);
      if (!use.isNeeded()) return;
      later(pauseMs, connect);
      pauseMs = Math.min(pauseMs * 2, RECONNECT_MS_MAX);
    };
    made.on('error', lost).on('end', lost);
    made.on('notification', ({ payload = '' }) => {
      const news = readNews(payload);
      if (news !== null) use.told(news);
    });
    const begin = async (): Promise<void> => {
      await made.connect();
      await made.query(`listen ${STREAM_CHANNEL}`);
      pauseMs = RECONNECT_MS;
      use.opened();
    };
    begin().catch(lost);
  };
  const close = async (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const open = client;
    client = null;
    await open?.end().catch(() => undefined);
  };
  return {
    open: (): void => {
      if (client !== null) return;
      if (timer !== null) clearTimeout(timer);
      connect();
    },
    linger: (): void => {
      if (!use.isNeeded()) later(LINGER_MS, () => void (use.isNeeded() || close()));
    },
    close,
  };
}

async function nextOf(ear: Waiting, withinMs: number, signal: AbortSignal | undefined): Promise<News | null> {
  if (ear.news === null && signal?.aborted !== true) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        ear.wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      signal?.addEventListener('abort', done, { once: true });
      ear.wake = done;
    });
  }
  const { news } = ear;
  ear.news = null;
  return news;
}
