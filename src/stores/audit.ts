import type { Db } from './database.ts';

/** Who did what to what. It is written in the transaction of the action itself, so that neither exists without the other. */
export type AuditEntry = {
  readonly principal: string;
  /** Noun and verb: `effect.resolve`. */
  readonly action: string;
  readonly target: string;
  readonly before?: object;
  readonly after?: object;
};

/** Appends an entry to a tenant's audit. Pass the transaction of the action. */
export async function appendAudit(db: Db, tenant: string, entry: AuditEntry): Promise<void> {
  await db
    .insertInto('audit')
    .values({
      tenant,
      principal: entry.principal,
      action: entry.action,
      target: entry.target,
      before: entry.before === undefined ? null : JSON.stringify(entry.before),
      after: entry.after === undefined ? null : JSON.stringify(entry.after),
    })
    .execute();
}
