import type { Logger } from '../runtime/logger.ts';
import type { Db } from '../stores/database.ts';
import { ensurePartitions } from '../stores/partitions.ts';
import { dropStreamPartitions, ensureStreamPartitions } from '../stores/stream-partitions.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Ten minutes: stream chunks are kept for an hour, in partitions of an hour. */
const STREAMS_MS = 10 * 60 * 1000;

/**
 * Makes the partitions of the coming weeks once a day, and those of stream chunks every few minutes, where it drops the old ones. Any number
 * of processes may do it.
 */
export function keepHouse(db: Db, logger: Logger): { readonly stop: () => void } {
  const timer = setInterval(() => {
    ensurePartitions(db).catch((error: unknown) => logger.error({ err: error }, 'partitions could not be made ahead'));
  }, DAY_MS);
  timer.unref();
  const streams = async (): Promise<void> => {
    await ensureStreamPartitions(db);
    await dropStreamPartitions(db);
  };
  const tidy = (): void => {
    streams().catch((error: unknown) => logger.error({ err: error }, 'partitions of streams could not be changed'));
  };
  const streamTimer = setInterval(tidy, STREAMS_MS);
  streamTimer.unref();
  tidy();
  return {
    stop: () => {
      clearInterval(timer);
      clearInterval(streamTimer);
    },
  };
}
