import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { LruCache } from './lru-cache.ts';
import type { Db } from './database.ts';

/** Id of the scope for what is static in a tenant: instructions, tool schemas. */
const TENANT_SCOPE = 'tenant';

/** 32 bytes of key in each entry; ten thousand subjects at work in one process are far beyond what it can run. */
const CACHED_KEYS_MAX = 10_000;

/** Keys of a scope, derived from its random secret, so that addresses stay when encryption is switched on. */
export type ScopeKeys = {
  /** Gives the address of some bytes: 16 bytes of HMAC-SHA256 as base64url. Equal bytes of two scopes have different addresses. */
  readonly address: (bytes: string | Buffer) => string;
};

export type Scopes = ReturnType<typeof createScopes>;

/** Keeps the secrets of scopes. A scope is made when it is first used; its secret never changes. */
export function createScopes(db: Db) {
  const keys = new LruCache<ScopeKeys>(CACHED_KEYS_MAX);

  async function secretOf(tenant: string, id: string): Promise<Buffer> {
    const read = () =>
      db.selectFrom('scopes').select('secret').where('tenant', '=', tenant).where('id', '=', id).executeTakeFirst();
    const existing = await read();
    if (existing !== undefined) return existing.secret;
    await db
      .insertInto('scopes')
      .values({ tenant, id, secret: randomBytes(32), alg: 'none', kid: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const made = await read();
    if (made === undefined) throw new Error(`scope ${id} was erased while it was made`);
    return made.secret;
  }

  async function keysOf(tenant: string, id: string): Promise<ScopeKeys> {
    const cacheKey = `${tenant} ${id}`;
    const cached = keys.get(cacheKey);
    if (cached !== undefined) return cached;
    const key = Buffer.from(hkdfSync('sha256', await secretOf(tenant, id), '', 'perdure/address', 32));
    const made: ScopeKeys = {
      address: (bytes) => createHmac('sha256', key).update(bytes).digest().subarray(0, 16).toString('base64url'),
    };
    keys.set(cacheKey, made, 1);
    return made;
  }

  return {
    keysOf,
    /** Names the scope of a subject: an HMAC of its id under the tenant's key, because the id itself is never stored. */
    async subjectScope(tenant: string, subject: string): Promise<string> {
      return `s-${(await keysOf(tenant, TENANT_SCOPE)).address(subject)}`;
    },
  };
}
