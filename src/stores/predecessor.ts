import { sql } from 'kysely';
import type { Db } from './database.ts';

/** A write of a run. `ref` is its result, where there is one. */
export type OpenEffect = { readonly turn: number; readonly callIndex: number; readonly ref: string | null };

/** What a run leaves to the one that goes on after it. */
export type Predecessor = {
  readonly agent: string;
  readonly scope: string;
  readonly head: string | null;
  /** Writes of its last turn. */
  readonly effects: readonly OpenEffect[];
};

/** Reads what a run leaves. Null when it has no row. */
export async function readPredecessor(db: Db, tenant: string, runId: string): Promise<Predecessor | null> {
  const { rows } = await sql<Omit<Predecessor, 'effects'>>`
    select r.agent, r.scope,
           coalesce((select m.head from perdure.model_replies m
                      where m.tenant = r.tenant and m.run_id = r.id order by m.turn desc limit 1), r.head) as head
      from perdure.runs r where r.tenant = ${tenant} and r.id = ${runId}`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  const effects = await db
    .selectFrom('effects')
    .select(['turn', 'call_index', 'ref'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .orderBy('turn', 'desc')
    .limit(EFFECTS_READ_MAX)
    .execute();
  const lastTurn = effects[0]?.turn;
  return {
    ...row,
    effects: effects
      .filter(({ turn }) => turn === lastTurn)
      .map(({ turn, call_index: callIndex, ref }) => ({ turn, callIndex, ref })),
  };
}

/** As many as one turn can have. */
const EFFECTS_READ_MAX = 64;
