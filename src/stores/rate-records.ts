import { sql } from 'kysely';
import type { RateCost, RateLimit } from '../domain/quota/rate-limit.ts';
import { usedRate } from '../domain/quota/rate-limiter.ts';
import { appendAudit } from './audit.ts';
import type { Db } from './database.ts';

/** A credential under a limit, as operators look at it. */
export type RateRecord = {
  readonly credential: string;
  /** What the limit was set for: a provider, or one model. */
  readonly subject: string;
  readonly limit: RateLimit;
  /** What the window that ends now holds. */
  readonly used: RateCost;
  readonly usedAt: Date;
  /** Until when nobody calls, because the provider has refused a call for its rate; null where it has not. */
  readonly heldUntil: Date | null;
  /** Tenants whose calls wait, those with the most first. */
  readonly waiting: readonly { readonly tenant: string; readonly weight: number; readonly calls: number }[];
};

/** How much of a credential a tenant has beside others; 1 where nothing was set. */
export type TenantWeight = { readonly tenant: string; readonly weight: number };

/** Reads every credential under a limit. */
export async function readRates(db: Db): Promise<readonly RateRecord[]> {
  const rows = await db
    .selectFrom('rate_limits')
    .selectAll()
    .select(sql<number>`(extract(epoch from clock_timestamp()) * 1000)::double precision`.as('now'))
    .orderBy('credential')
    .execute();
  const waiting = await db
    .selectFrom('rate_waiters')
    .leftJoin('tenant_weights', 'tenant_weights.tenant', 'rate_waiters.tenant')
    .select(['rate_waiters.credential', 'rate_waiters.tenant'])
    .select(sql<number>`coalesce(weight, 1)`.as('weight'))
    .select(sql<number>`count(*)::int`.as('calls'))
    .where('rate_waiters.expires_at', '>', sql<Date>`now()`)
    .groupBy(['rate_waiters.credential', 'rate_waiters.tenant', 'weight'])
    .orderBy('calls', 'desc')
    .orderBy('rate_waiters.tenant')
    .execute();
  return rows.map(({ credential, subject, rate_limit: limit, state, used_at: usedAt, now }) => ({
    credential,
    subject,
    limit,
    used: usedRate(state, limit, now),
    usedAt,
    heldUntil: (state.heldUntil ?? 0) > now ? new Date(state.heldUntil ?? 0) : null,
    waiting: waiting.flatMap(({ credential: of, ...rest }) => (of === credential ? [rest] : [])),
  }));
}

/** Reads the weights that were set. */
export async function readWeights(db: Db): Promise<readonly TenantWeight[]> {
  return db.selectFrom('tenant_weights').select(['tenant', 'weight']).orderBy('tenant').execute();
}

/** Sets the weight of a tenant. Calls that are asked for from then on are decided by it. */
export async function setWeight(db: Db, tenant: string, weight: number, principal: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('tenant_weights')
      .select('weight')
      .where('tenant', '=', tenant)
      .forUpdate()
      .executeTakeFirst();
    await tx
      .insertInto('tenant_weights')
      .values({ tenant, weight })
      .onConflict((conflict) => conflict.column('tenant').doUpdateSet({ weight }))
      .execute();
    const before = { weight: row?.weight ?? 1 };
    await appendAudit(tx, tenant, {
      principal,
      action: 'limits.set-weight',
      target: tenant,
      before,
      after: { weight },
    });
  });
}
