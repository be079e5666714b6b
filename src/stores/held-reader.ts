import { sql } from 'kysely';
import type { Db } from './database.ts';

/** A reservation of which nobody knows what it cost. It counts on its run and on every account above until somebody says. */
export type HeldReservation = {
  readonly tenant: string;
  readonly id: string;
  readonly runId: string;
  readonly agent: string;
  readonly turn: number;
  readonly state: string;
  /** Model that was asked; null where no attempt names the reservation. */
  readonly model: string | null;
  readonly worstPico: bigint;
  readonly worstTokens: number;
  readonly openedAt: Date;
  /** Whether its run has ended: no later call of it will ask the provider. */
  readonly hasEnded: boolean;
  /** Whether its attempt may still be at work, and know better than a person. */
  readonly isUnderWay: boolean;
};

type Row = Omit<HeldReservation, 'worstPico' | 'worstTokens'> & {
  readonly worstPico: string;
  readonly worstTokens: string;
};

/** Milliseconds beside the call itself after which an attempt is surely over: it settles for a minute at most, and clocks differ. */
const SETTLING_MS = 5 * 60 * 1_000;

/** Reservations of one list, the oldest first. */
const ROWS_MAX = 500;

/**
 * What is reserved for a call that is under way: its run goes on, and an attempt may take so long. A run that was ended at Temporal itself has no end here, and
 * nobody comes back for what it has reserved.
 */
const IS_UNDER_WAY = sql`(b.state = 'reserved' and r.run_end is null
  and b.opened_at > now() - ((r.plan->>'modelTimeoutMs')::bigint + ${sql.lit(SETTLING_MS)}) * interval '1 millisecond')`;

/** Lists what is held, in one tenant or in all. What a run at work has just reserved is none of it. */
export async function readHeld(db: Db, tenant: string | null): Promise<readonly HeldReservation[]> {
  return select(
    db,
    sql`b.state in ('held', 'reserved') and not ${IS_UNDER_WAY} and (${tenant}::text is null or b.tenant = ${tenant})`,
  );
}

/** Money that is held in the whole deployment: how many reservations, how much, and for how long the oldest one. */
export type HeldStanding = { readonly calls: number; readonly usd: number; readonly oldestSeconds: number };

/** Adds up what is held. */
export async function readHeldStanding(db: Db): Promise<HeldStanding> {
  const { rows } = await sql<HeldStanding>`
    select count(*)::int as calls, coalesce(sum(b.worst_pico) / 1e12, 0)::float8 as usd,
           coalesce(extract(epoch from clock_timestamp() - min(b.opened_at)), 0)::float8 as "oldestSeconds"
      from perdure.budget_reservations b
      join perdure.runs r on r.tenant = b.tenant and r.id = b.run_id
     where b.state in ('reserved', 'held') and not ${IS_UNDER_WAY}`.execute(db);
  return rows[0] ?? { calls: 0, usd: 0, oldestSeconds: 0 };
}

/** Finds a reservation, whatever its state; in any tenant where it is null. */
export async function findHeld(db: Db, tenant: string | null, id: string): Promise<HeldReservation | null> {
  const [found] = await select(db, sql`(${tenant}::text is null or b.tenant = ${tenant}) and b.id = ${id}`);
  return found ?? null;
}

async function select(db: Db, condition: ReturnType<typeof sql>): Promise<readonly HeldReservation[]> {
  const { rows } = await sql<Row>`
    select b.tenant, b.id, b.run_id as "runId", r.agent, b.turn, b.state, o.name as model, b.worst_pico as "worstPico",
           b.worst_tokens as "worstTokens", b.opened_at as "openedAt", r.run_end is not null as "hasEnded",
           ${IS_UNDER_WAY} as "isUnderWay"
      from perdure.budget_reservations b
      join perdure.runs r on r.tenant = b.tenant and r.id = b.run_id
      left join lateral (
        select o.name from perdure.observations o
         where o.tenant = b.tenant and o.run_id = b.run_id and o.reservation = b.id
           and o.opened_at >= b.opened_at - interval '1 minute' limit 1) o on true
     where ${condition}
     order by b.opened_at
     limit ${ROWS_MAX}`.execute(db);
  return rows.map((row) => ({ ...row, worstPico: BigInt(row.worstPico), worstTokens: Number(row.worstTokens) }));
}
