import { sql } from 'kysely';
import type { Db } from '../../stores/database.ts';
import { formatCount } from '../format/units.ts';
import { spellCommand } from '../spell-command.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Runs that are blocked for one cause. */
export type BlockedRuns = { readonly cause: string; readonly runs: number };

/** Looks which runs wait for something that a person must mend. */
export async function examineRuns(db: Db): Promise<readonly Finding[]> {
  const { rows } = await sql<BlockedRuns>`
    select coalesce(blocked ->> 'cause', 'unknown effect') as cause, count(*)::int as runs
      from perdure.runs
     where run_end is null and phase = 'blocked'
     group by 1
     order by 2 desc, 1`.execute(db);
  return judgeRuns(rows);
}

/** Judges what runs are blocked on. */
export function judgeRuns(blocked: readonly BlockedRuns[]): readonly Finding[] {
  if (blocked.length === 0) return [ok('runs', 'none is blocked')];
  const mend = `${spellCommand('run ls --phase blocked')} lists them, ${spellCommand('run show ID')} says what each needs`;
  return blocked.map(({ cause, runs }) =>
    warn('runs', `${formatCount(runs, 'run')} ${runs === 1 ? 'is' : 'are'} blocked (${cause})`, mend),
  );
}
