import { sql } from 'kysely';
import { type BreakerKey, type BreakerRecord, type BreakerStanding, CLOSED } from '../domain/model/breaker.ts';
import { appendAudit } from './audit.ts';
import type { Db } from './database.ts';

/** Tries of a change that others overtake. Each loses to one that was written, and a process makes one change of a breaker at a time. */
const CHANGE_TRIES = 50;

/** What a breaker becomes. `openMs` is how long it stays open before one call tries; null where it is closed. */
export type BreakerChange = { readonly state: object; readonly openMs: number | null };

/** Tenant of what concerns all of them; none can have this name. */
const ALL_TENANTS = '*';

export type Breakers = ReturnType<typeof createBreakers>;

/** Keeps what all workers know of each model. No tenant: what a provider cannot do it cannot do for anybody. */
export function createBreakers(db: Db) {
  return {
    read: async (key: BreakerKey): Promise<BreakerStanding> => (await read(db, key)) ?? CLOSED,
    change: (key: BreakerKey, call: EndedCall, decide: Decide) => change(db, key, call, decide),
    takeProbe: (key: BreakerKey, probe: string, leaseMs: number) => takeProbe(db, key, probe, leaseMs),
    renewProbe: (key: BreakerKey, probe: string, leaseMs: number) => renewProbe(db, key, probe, leaseMs),
    releaseProbe: (key: BreakerKey, probe: string) => releaseProbe(db, key, probe),
    list: () => list(db),
    reset: (model: string, principal: string, reason: string) => reset(db, model, principal, reason),
  };
}

/** A call whose outcome a breaker hears: the probe that it was, and how long ago it was let through. */
export type EndedCall = { readonly probe: string | null; readonly ageMs: number };

/** Says what becomes of a breaker, or null where nothing does. */
type Decide = (standing: BreakerStanding) => Promise<BreakerChange | null>;

type Row = {
  readonly status: 'closed' | 'open';
  readonly state: object;
  readonly wait_ms: number;
  readonly probe_ms: number;
  readonly probe: string | null;
  /** Milliseconds since it last opened or closed; null where it never opened. */
  readonly stood_ms: number | null;
};

async function readRow(db: Db, { model, server }: BreakerKey): Promise<Row | null> {
  const { rows } = await sql<Row>`
    select status, state, probe,
           case when half_open_at is not null
                then extract(epoch from clock_timestamp() - since)::float8 * 1000 end as stood_ms,
           coalesce(extract(epoch from half_open_at - clock_timestamp()) * 1000, 0)::float8 as wait_ms,
           coalesce(extract(epoch from probe_until - clock_timestamp()) * 1000, 0)::float8 as probe_ms
      from perdure.model_breakers
     where model = ${model} and server = ${server}`.execute(db);
  return rows[0] ?? null;
}

async function read(db: Db, key: BreakerKey): Promise<BreakerStanding | null> {
  const row = await readRow(db, key);
  return row === null ? null : toStanding(row);
}

function toStanding({ status, state, wait_ms: waitMs, probe_ms: probeMs }: Row): BreakerStanding {
  return { status, state, waitMs, probeMs };
}

/**
 * Changes a breaker by what one call gave: by comparing and writing in one statement, because a process that is stopped in the middle of a transaction
 * would keep every other call of the model waiting. A call that was let through to try the model, and was overtaken by another, changes nothing: it
 * names a probe that is not the row's any more. A call that was no probe changes an open breaker neither, nor one that has closed since: it
 * was begun before.
 */
async function change(db: Db, key: BreakerKey, call: EndedCall, decide: Decide) {
  for (let tries = 1; ; tries += 1) {
    const row = (await readRow(db, key)) ?? (await addRow(db, key));
    const before = row === null ? CLOSED : toStanding(row);
    const next = row !== null && isNews(row, call) && tries <= CHANGE_TRIES ? await decide(before) : null;
    if (row === null || next === null) return { before, after: before };
    if (await replaceRow(db, key, row, next)) {
      const status = next.openMs === null ? 'closed' : 'open';
      const after: BreakerStanding = { status, state: next.state, waitMs: next.openMs ?? 0, probeMs: 0 };
      return { before, after };
    }
  }
}

function isNews({ status, probe, stood_ms: stoodMs }: Row, call: EndedCall): boolean {
  if (status === 'open') return call.probe !== null && call.probe === probe;
  return call.probe === null && (stoodMs === null || call.ageMs <= stoodMs);
}

/** Null where a person resets the breaker in this very moment. */
async function addRow(db: Db, key: BreakerKey): Promise<Row | null> {
  await db
    .insertInto('model_breakers')
    .values({ ...key, status: 'closed', state: '{}' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return readRow(db, key);
}

/** False where the row is another by now. `half_open_at` stays when a breaker closes: it tells that it once was open. */
async function replaceRow(
  db: Db,
  { model, server }: BreakerKey,
  { status: was, state, probe }: Row,
  { state: next, openMs }: BreakerChange,
): Promise<boolean> {
  const status = openMs === null ? 'closed' : 'open';
  const { rows } = await sql`
    update perdure.model_breakers
       set status = ${status}, state = ${JSON.stringify(next)}::jsonb, probe = null, probe_until = null,
           half_open_at = ${openMs === null ? sql`half_open_at` : sql`clock_timestamp() + ${openMs} * interval '1 millisecond'`},
           since = ${status === was ? sql`since` : sql`clock_timestamp()`}
     where model = ${model} and server = ${server} and status = ${was} and state = ${JSON.stringify(state)}::jsonb
       and probe is not distinct from ${probe}
    returning model`.execute(db);
  return rows.length > 0;
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
  readonly open_seconds: number;
  readonly calls: number;
  readonly failures: number;
};

/** Lists the breakers of all models that were called and did not always answer. */
async function list(db: Db): Promise<readonly BreakerRecord[]> {
  const { rows } = await sql<ListedRow>`
    select model, server, since, case when status = 'open' then half_open_at end as half_open_at,
           case when status = 'open' then extract(epoch from clock_timestamp() - since)::float8 else 0 end as open_seconds,
           case when status = 'open' and half_open_at <= clock_timestamp() then 'half-open' else status end as status,
           coalesce((state -> 'breakerState' ->> 'successes')::int, 0)
             + coalesce((state -> 'breakerState' ->> 'failures')::int, 0) as calls,
           coalesce((state -> 'breakerState' ->> 'failures')::int, 0) as failures
      from perdure.model_breakers
     order by model, server`.execute(db);
  return rows.map(({ half_open_at: halfOpenAt, open_seconds: openSeconds, ...row }) => ({
    ...row,
    openSeconds: Math.max(0, Math.round(openSeconds)),
    halfOpenAt,
  }));
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
