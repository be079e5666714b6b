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
};

type Row = Omit<HeldReservation, 'worstPico' | 'worstTokens'> & {
  readonly worstPico: string;
  readonly worstTokens: string;
};

/** Reservations of one list, the oldest first. */
const ROWS_MAX = 500;

/** Lists what is held, in one tenant or in all. What a run at work has just reserved is none of it. */
export async function readHeld(db: Db, tenant: string | null): Promise<readonly HeldReservation[]> {
  return select(
    db,
    sql`(b.state = 'held' or (b.state = 'reserved' and r.run_end is not null))
        and (${tenant}::text is null or b.tenant = ${tenant})`,
  );
}

/** Finds a reservation, whatever its state; in any tenant where it is null. */
export async function findHeld(db: Db, tenant: string | null, id: string): Promise<HeldReservation | null> {
  const [found] = await select(db, sql`(${tenant}::text is null or b.tenant = ${tenant}) and b.id = ${id}`);
  return found ?? null;
}

async function select(db: Db, condition: ReturnType<typeof sql>): Promise<readonly HeldReservation[]> {
  const { rows } = await sql<Row>`
    select b.tenant, b.id, b.run_id as "runId", r.agent, b.turn, b.state, o.name as model, b.worst_pico as "worstPico",
           b.worst_tokens as "worstTokens", b.opened_at as "openedAt", r.run_end is not null as "hasEnded"
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
