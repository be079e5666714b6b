import type { Db } from './database.ts';

/** Tells whether a turn's reply was paid for and kept by an earlier attempt. */
export async function isReplyKept(db: Db, tenant: string, runId: string, turn: number): Promise<boolean> {
  const row = await db
    .selectFrom('model_replies')
    .select('turn')
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '=', turn)
    .executeTakeFirst();
  return row !== undefined;
}
