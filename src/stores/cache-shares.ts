import { sql } from 'kysely';
import { type CacheShare, cacheShareOf } from '../domain/run/cache-share.ts';
import type { Db } from './database.ts';

/** What the calls of one release to one model had from its provider's cache. */
export type ReleaseCacheShare = CacheShare & {
  readonly agent: string;
  readonly release: string;
  /** `provider:model`. */
  readonly model: string;
  readonly calls: number;
};

type Row = Omit<ReleaseCacheShare, keyof CacheShare> & {
  readonly input: string;
  readonly read: string;
  readonly written: string;
};

/** Releases and models of one list: what a person can look through. */
const ROWS_MAX = 500;

/**
 * Adds up what model calls of the last so many days read from a cache, by release and model, the largest first. Calls whose usage nobody said, and those that were
 * played in the worker, count for nothing.
 */
export async function readCacheShares(
  db: Db,
  { days, agent }: { readonly days: number; readonly agent: string | null },
): Promise<readonly ReleaseCacheShare[]> {
  const { rows } = await sql<Row>`
    select coalesce(r.agent, '') as agent, o.release, o.name as model, count(*)::int as calls,
      sum(o.input_tokens)::text as input, coalesce(sum(o.cache_read_tokens), 0)::text as read,
      coalesce(sum(o.cache_write_tokens), 0)::text as written
    from perdure.observations o left join perdure.releases r on r.id = o.release
    where o.opened_at > now() - make_interval(days => ${days}::int)
      and o.kind in ('model', 'compact') and o.input_tokens > 0 and o.is_cost_simulated is not true
      and (${agent}::text is null or r.agent = ${agent})
    group by 1, 2, 3 order by sum(o.input_tokens) desc, 1, 2, 3 limit ${ROWS_MAX}`.execute(db);
  return rows.map(({ input, read, written, ...names }) => ({
    ...names,
    ...cacheShareOf([{ inputTokens: Number(input), cacheReadTokens: Number(read), cacheWriteTokens: Number(written) }]),
  }));
}
