import { canonicalJson } from '../domain/json.ts';
import { type Release, releaseId } from '../domain/release/release.ts';
import type { Db } from './database.ts';
import { LruCache } from './lru-cache.ts';

/** Releases a process keeps at hand. They are immutable, so an entry is never stale. */
const CACHED_RELEASES_MAX = 256;

/** Keeps releases under the hash of their content. Releases belong to the organisation, not to a tenant. */
export function createReleases(db: Db) {
  const cache = new LruCache<Release>(CACHED_RELEASES_MAX);
  return {
    /** Stores a release and gives its id; one that is there is left alone. */
    async put(release: Release): Promise<string> {
      const id = releaseId(release);
      if (cache.get(id) !== undefined) return id;
      await db
        .insertInto('releases')
        .values({ id, agent: release.agent, body: JSON.stringify(release) })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      cache.set(id, inFixedOrder(release), 1);
      return id;
    },
    async get(id: string): Promise<Release> {
      const cached = cache.get(id);
      if (cached !== undefined) return cached;
      const row = await db.selectFrom('releases').select('body').where('id', '=', id).executeTakeFirst();
      if (row === undefined) throw new Error(`release ${id} is not stored`);
      const release = inFixedOrder(row.body);
      cache.set(id, release, 1);
      return release;
    },
  };
}

/**
 * Puts the members of a release in one order. A process that made it has them as they were written, the database gives them in an order of its own, and
 * a provider's cache wants the same bytes from all.
 */
function inFixedOrder(release: Release): Release {
  return JSON.parse(canonicalJson(release)) as Release;
}
