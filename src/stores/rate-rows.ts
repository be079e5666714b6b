import { type RawBuilder, sql } from 'kysely';
import type { Waiter } from '../domain/quota/fair-queue.ts';
import { isSameLimit, type RateLimit, type RateLimitRule } from '../domain/quota/rate-limit.ts';
import { changeLimit, FRESH_RATE_STATE, type RateState } from '../domain/quota/rate-limiter.ts';
import type { Db } from './database.ts';

/** A credential as workers of one deployment know it. */
export type RatedCredential = RateLimitRule & {
  readonly credential: string;
  /** When the process that says so was started: the newest deployment's limit is in force. */
  readonly declaredAt: number;
};

/** Milliseconds after which the limit of a process that asks for nothing any more gives way to those of the processes that do. */
const UNHEARD_MS = 600_000;

/** Milliseconds by which one process must have been started after another to count as newer: starts are told over a network. */
const NEWER_MS = 1_000;

/** The row of a credential, locked, with the moment at which it was and those who wait. */
export type LockedRate = {
  readonly limit: RateLimit;
  readonly state: RateState;
  readonly declaredAt: number;
  readonly now: number;
  readonly weight: number;
  readonly waiters: readonly (Waiter & { readonly expiresAt: number })[];
};

/** Locks a credential, and only then reads the clock: time spent waiting for the lock has passed. */
export async function lockRate(tx: Db, credential: string, tenant: string): Promise<LockedRate | null> {
  const row = await tx
    .selectFrom('rate_limits')
    .select(['rate_limit', 'state', 'declared_at'])
    .where('credential', '=', credential)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return null;
  const { rows } = await sql<Pick<LockedRate, 'now' | 'weight' | 'waiters'>>`
    select ${epochMs(sql`clock_timestamp()`)} as now,
           coalesce((select weight from perdure.tenant_weights where tenant = ${tenant}), 1) as weight,
           coalesce((
             select json_agg(json_build_object(
                      'id', w.id, 'tenant', w.tenant, 'weight', coalesce(t.weight, 1),
                      'cost', json_build_object('requests', w.requests, 'tokens', w.tokens),
                      'since', ${epochMs(sql`w.since`)}, 'expiresAt', ${epochMs(sql`w.expires_at`)}))
               from perdure.rate_waiters w left join perdure.tenant_weights t on t.tenant = w.tenant
              where w.credential = ${credential}), '[]') as waiters`.execute(tx);
  const [found] = rows;
  if (found === undefined) throw new Error('the database gave no time');
  return { limit: row.rate_limit, state: row.state, declaredAt: row.declared_at.getTime(), ...found };
}

function epochMs(moment: RawBuilder<unknown>): RawBuilder<number> {
  return sql`(extract(epoch from ${moment}) * 1000)::double precision`;
}

/** Writes what was let through. */
export async function writeRate(tx: Db, credential: string, state: RateState): Promise<void> {
  await tx
    .updateTable('rate_limits')
    .set({ state: JSON.stringify(state), used_at: sql`clock_timestamp()` })
    .where('credential', '=', credential)
    .execute();
}

/** Makes the row of a credential that was never asked for, and locks it. */
export async function insertRate(
  tx: Db,
  { credential, subject, limit, declaredAt }: RatedCredential,
  tenant: string,
): Promise<LockedRate> {
  await tx
    .insertInto('rate_limits')
    .values({
      credential,
      subject,
      rate_limit: JSON.stringify(limit),
      state: JSON.stringify(FRESH_RATE_STATE),
      declared_at: sql`clock_timestamp() - ${ageMs(declaredAt)} * interval '1 millisecond'`,
    })
    .onConflict((conflict) => conflict.column('credential').doNothing())
    .execute();
  const row = await lockRate(tx, credential, tenant);
  if (row === null) throw new Error(`the limit of the credential ${credential} could not be declared`);
  return row;
}

/**
 * Puts the limit of the newest deployment in force, by the clock of the database: whoever asks and was started after the process whose limit it is
 * now, or when no process with that limit has asked for long. What was let through stays: the provider remembers it too.
 */
export async function declareRate(
  tx: Db,
  { credential, subject, limit, declaredAt }: RatedCredential,
  row: LockedRate,
): Promise<LockedRate> {
  const state = { ...row.state, heardAt: row.now };
  if (isSameLimit(limit, row.limit)) return { ...row, state };
  const startedAt = row.now - ageMs(declaredAt);
  // A moment to come is of a clock that was set back since, and says nothing.
  const [inForceSince, heardAt] = [row.declaredAt, row.state.heardAt ?? row.declaredAt].map((moment) =>
    moment > row.now ? 0 : moment,
  ) as [number, number];
  if (startedAt < inForceSince + NEWER_MS && heardAt > row.now - UNHEARD_MS) return row;
  await tx
    .updateTable('rate_limits')
    .set({ subject, rate_limit: JSON.stringify(limit), declared_at: new Date(startedAt) })
    .where('credential', '=', credential)
    .execute();
  return { ...row, state: changeLimit(state, row.limit, limit, row.now), limit, declaredAt: startedAt };
}

/** How long ago a process was started, by its own clock: what other clocks say does not matter. */
function ageMs(declaredAt: number): number {
  return Math.max(0, Date.now() - declaredAt);
}

/** Forgets the credentials of which nothing was asked for a month, and calls that waited for them. */
export async function forgetUnused(db: Db): Promise<void> {
  await sql`delete from perdure.rate_limits where used_at < now() - interval '30 days'`.execute(db);
  await sql`delete from perdure.rate_waiters where expires_at < now() - interval '1 day'`.execute(db);
}
