import type { BreakerRecord } from '../../domain/model/breaker.ts';
import { createBreakers } from '../../stores/breakers.ts';
import { openDatabase } from '../../stores/database.ts';
import type { Cli } from '../cli.ts';
import { findDatabase } from '../find-servers.ts';
import { formatCount, formatMoment } from '../format/units.ts';
import { spellCommand } from '../spell-command.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Looks which models are left alone because they fail. Says nothing where the database cannot be read: the look at the database does. */
export async function examineBreakers(cli: Pick<Cli, 'cwd' | 'env'>): Promise<readonly Finding[]> {
  try {
    const db = openDatabase(findDatabase(cli), () => undefined);
    try {
      return judgeBreakers(await createBreakers(db).list());
    } finally {
      await db.destroy();
    }
  } catch {
    return [];
  }
}

/** Judges the breakers of all models that were ever called. */
function judgeBreakers(records: readonly BreakerRecord[]): readonly Finding[] {
  // One whose time is over is tried by the next call.
  const open = records.filter(({ status }) => status === 'open');
  if (open.length === 0) {
    return records.length === 0 ? [] : [ok('breakers', `${formatCount(records.length, 'model')}, none is left alone`)];
  }
  return open.map(({ model, server, since, calls, failures }) => {
    const where = server === '' ? model : `${model} at ${server}`;
    const message = `${where} is left alone since ${formatMoment(since)}: ${failures} of its last ${calls} calls failed`;
    const mend = `it is tried again by itself; see ${spellCommand('models breakers')}, and what the provider says of its service`;
    return warn('breakers', message, mend);
  });
}
