import type { Logger } from '../runtime/logger.ts';
import type { Db } from '../stores/database.ts';
import { ensurePartitions } from '../stores/partitions.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Makes the partitions of the coming weeks once a day. Any number of processes may do it. */
export function keepHouse(db: Db, logger: Logger): { readonly stop: () => void } {
  const timer = setInterval(() => {
    ensurePartitions(db).catch((error: unknown) => logger.error({ err: error }, 'partitions could not be made ahead'));
  }, DAY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
