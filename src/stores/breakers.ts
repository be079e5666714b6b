import { sql } from 'kysely';
import { type BreakerKey, type BreakerRecord, type BreakerStanding, CLOSED } from '../domain/model/breaker.ts';
import { appendAudit } from './audit.ts';
import type { Db } from './database.ts';

/** What a breaker becomes. `openMs` is how long it stays open before one call tries; null where it is closed. */
export type BreakerChange = { readonly state: object; readonly openMs: number | null };

/** Tenant of what concerns all of them; none can have this name. */
const ALL_TENANTS = '*';

export type Breakers = ReturnType<typeof createBreakers>;

/** Keeps what all workers know of each model. No tenant: what a provider cannot do it cannot do for anybody. */
export function createBreakers(db: Db) {
  return {
    read: async (key: BreakerKey): Promise<BreakerStanding> => (await read(db, key)) ?? CLOSED,
    change: (key: BreakerKey, probe: string | null, decide: Decide) => change(db, key, probe, decide),
    takeProbe: (key: BreakerKey, probe: string, leaseMs: number) => takeProbe(db, key, probe, leaseMs),
    renewProbe: (key: BreakerKey, probe: string, leaseMs: number) => renewProbe(db, key, probe, leaseMs),
    releaseProbe: (key: BreakerKey, probe: string) => releaseProbe(db, key, probe),
    list: () => list(db),
    reset: (model: string, principal: string, reason: string) => reset(db, model, principal, reason),
  };
}

/** Says what becomes of a breaker, or null where nothing does. */
type Decide = (standing: BreakerStanding) => Promise<BreakerChange | null>;

type Row = {
  readonly status: 'closed' | 'open';
  readonly state: object;
  readonly wait_ms: number;
  readonly probe_ms: number;
  readonly probe: string | null;
};

async function readRow(db: Db, { model, server }: BreakerKey, how: 'as-it-is' | 'locked'): Promise<Row | null> {
  const { rows } = await sql<Row>`
    select status, state, probe,
           coalesce(extract(epoch from half_open_at - clock_timestamp()) * 1000, 0)::float8 as wait_ms,
           coalesce(extract(epoch from probe_until - clock_timestamp()) * 1000, 0)::float8 as probe_ms
      from perdure.model_breakers
     where model = ${model} and server = ${server}
     ${how === 'locked' ? sql`for update` : sql``}`.execute(db);
  return rows[0] ?? null;
}

async function read(db: Db, key: BreakerKey): Promise<BreakerStanding | null> {
  const row = await readRow(db, key, 'as-it-is');
  return row === null ? null : toStanding(row);
}

function toStanding({ status, state, wait_ms: waitMs, probe_ms: probeMs }: Row): BreakerStanding {
  return { status, state, waitMs, probeMs };
}

/**
 * Changes a breaker by what one call gave; whoever comes at the same time waits. A call that was let through to try the model, and was
 * overtaken by another, changes nothing: it names a probe that is not the row's any more. A call that was no probe changes an open breaker
 * neither: it was begun before.
 */
async function change(db: Db, key: BreakerKey, probe: string | null, decide: Decide) {
  return db.transaction().execute(async (tx) => {
    await tx
      .insertInto('model_breakers')
      .values({ ...key, status: 'closed', state: '{}' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const row = await readRow(tx, key, 'locked');
    const before = row === null ? CLOSED : toStanding(row);
    const isOurs = before.status === 'closed' ? probe === null : row?.probe === probe && probe !== null;
    const next = isOurs ? await decide(before) : null;
    if (next === null) return { before, after: before };
    const { openMs } = next;
    const status = openMs === null ? 'closed' : 'open';
    await tx
      .updateTable('model_breakers')
      .set({
        status,
        state: JSON.stringify(next.state),
        half_open_at: openMs === null ? null : sql<Date>`clock_timestamp() + ${openMs} * interval '1 millisecond'`,
        probe: null,
        probe_until: null,
        ...(status === before.status ? {} : { since: sql<Date>`clock_timestamp()` }),
      })
      .where('model', '=', key.model)
      .where('server', '=', key.server)
      .execute();
    const after: BreakerStanding = { status, state: next.state, waitMs: openMs ?? 0, probeMs: 0 };
    return { before, after };
  });
}

/** Takes the one call that may try an open model, for as long as the lease. False when it is not time, or another call tries. */
async function takeProbe(db: Db, { model, server }: BreakerKey, probe: string, leaseMs: number): Promise<boolean> {
  const { rows } = await sql`
    update perdure.model_breakers
       set probe = ${probe}, probe_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
     where model = ${model} and server = ${server} and status = 'open' and half_open_at <= clock_timestamp()
       and (probe_until is null or probe_until <= clock_timestamp())
    returning model`.execute(db);
  return rows.length > 0;
}

/** Keeps the call that tries. Only its own worker does, so that one which died is replaced soon. */
async function renewProbe(db: Db, { model, server }: BreakerKey, probe: string, leaseMs: number): Promise<void> {
  await sql`
    update perdure.model_breakers set probe_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
     where model = ${model} and server = ${server} and probe = ${probe}`.execute(db);
}

/** Lets another call try: this one learned nothing. */
async function releaseProbe(db: Db, { model, server }: BreakerKey, probe: string): Promise<void> {
  await sql`
    update perdure.model_breakers set probe = null, probe_until = null
     where model = ${model} and server = ${server} and probe = ${probe}`.execute(db);
}

type ListedRow = {
  readonly model: string;
  readonly server: string;
  readonly status: BreakerRecord['status'];
  readonly since: Date;
  readonly half_open_at: Date | null;
  readonly calls: number;
  readonly failures: number;
};

/** Lists the breakers of all models that were called and did not always answer. */
async function list(db: Db): Promise<readonly BreakerRecord[]> {
  const { rows } = await sql<ListedRow>`
    select model, server, since, half_open_at,
           case when status = 'open' and half_open_at <= clock_timestamp() then 'half-open' else status end as status,
           coalesce((state -> 'breakerState' ->> 'successes')::int, 0)
             + coalesce((state -> 'breakerState' ->> 'failures')::int, 0) as calls,
           coalesce((state -> 'breakerState' ->> 'failures')::int, 0) as failures
      from perdure.model_breakers
     order by model, server`.execute(db);
  return rows.map(({ half_open_at: halfOpenAt, ...row }) => ({ ...row, halfOpenAt }));
}

/** Closes the breakers of a model and forgets what they knew, with who did so. Gives how they stood; none where there is no such model. */
async function reset(
  db: Db,
  model: string,
  principal: string,
  reason: string,
): Promise<readonly { readonly server: string; readonly status: string }[]> {
  return db.transaction().execute(async (tx) => {
    const before = await tx
      .deleteFrom('model_breakers')
      .where('model', '=', model)
      .returning(['server', 'status'])
      .execute();
    if (before.length === 0) return [];
    const entry = { principal, action: 'models.reset-breaker', target: model };
    await appendAudit(tx, ALL_TENANTS, { ...entry, before: { breakers: before }, after: { status: 'closed', reason } });
    return before;
  });
}
