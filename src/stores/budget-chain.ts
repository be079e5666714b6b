import { type Kysely, sql } from 'kysely';
import type { UpperKind } from '../domain/policy/budget.ts';
import type { Database, Db } from './database.ts';
import { keyOf, type RunKey } from './budget-account.ts';
import { LruCache } from './lru-cache.ts';

/**
 * Tenant of the accounts that belong to none: those of agents and of the organisation. No caller can have this name, because a tenant's
 * begins with a letter or a digit; so no tenant's calls reach these rows but through the chain of a run.
 */
export const NO_TENANT = '*';

/** The organisation has no other name: a deployment serves one. */
export const ORGANISATION = 'organisation';

/** Names an account above the run. */
export type AccountKey = { readonly tenant: string; readonly kind: UpperKind; readonly id: string };

/** What is fixed at a run's admission about the accounts above it. `person` and `conversation` are null where the run has none. */
export type RunAccounts = {
  readonly person: string | null;
  readonly conversation: string | null;
  /** Whether somebody tops up what is used up: such a run waits for it, every other one ends. */
  readonly waits: boolean;
};

/** The accounts of a run, from the narrowest to the widest. */
export type Chain = { readonly accounts: readonly AccountKey[]; readonly waits: boolean };

/** Runs whose chain a process keeps at hand, and accounts of which it knows that they have a row. */
const CACHED_MAX = 5_000;

/** Lists the accounts that a run of a tenant and an agent stands on, from the narrowest to the widest. */
export function chainOf(tenant: string, agent: string, { person, conversation, waits }: RunAccounts): Chain {
  const accounts: AccountKey[] = [
    ...(conversation === null ? [] : [{ tenant, kind: 'conversation' as const, id: conversation }]),
    ...(person === null ? [] : [{ tenant, kind: 'user' as const, id: person }]),
    { tenant, kind: 'tenant', id: tenant },
    { tenant: NO_TENANT, kind: 'agent', id: agent },
    { tenant: NO_TENANT, kind: 'organisation', id: ORGANISATION },
  ];
  return { accounts, waits };
}

/** Finds the chains of runs. They never change, so a process reads each once. */
export function createChains(db: Kysely<Database>) {
  const cache = new LruCache<Chain>(CACHED_MAX);
  return {
    async of(runs: readonly RunKey[]): Promise<ReadonlyMap<string, Chain>> {
      const missing = runs.filter((run) => cache.get(keyOf(run)) === undefined);
      if (missing.length > 0) {
        for (const [key, chain] of await readChains(db, missing)) cache.set(key, chain, 1);
      }
      return new Map(
        runs.flatMap((run) => {
          const chain = cache.get(keyOf(run));
          return chain === undefined ? [] : [[keyOf(run), chain] as const];
        }),
      );
    },
  };
}

/**
 * Makes the rows of accounts that have none. Each is a statement of its own that locks nothing else, so nobody waits in a circle.
 *
 * @param ensured Accounts that have one: they are left out, and what was made is added.
 */
export async function ensureAccounts(db: Db, accounts: readonly AccountKey[], ensured?: LruCache<true>): Promise<void> {
  for (const { tenant, kind, id } of accounts) {
    const name = `${kind} ${tenant} ${id}`;
    if (ensured?.get(name) === true) continue;
    await db
      .insertInto('budget_accounts')
      .values({ tenant, kind, id, cap_pico: null, cap_tokens: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    ensured?.set(name, true, 1);
  }
}

/** A run that an older version admitted has no row of its own here: nobody knows its person, and it waits rather than ends. */
async function readChains(db: Db, runs: readonly RunKey[]): Promise<readonly (readonly [string, Chain])[]> {
  const { rows } = await sql<{ tenant: string; run_id: string; agent: string } & RunAccounts>`
    select r.tenant, r.id as run_id, r.agent, ra.person, ra.conversation, coalesce(ra.waits, true) as waits
      from perdure.runs r
      left join perdure.run_accounts ra on ra.tenant = r.tenant and ra.run_id = r.id
     where (r.tenant, r.id) in (
       select * from unnest(${runs.map(({ tenant }) => tenant)}::text[], ${runs.map(({ runId }) => runId)}::text[]))`.execute(
    db,
  );
  return rows.map(({ tenant, run_id: runId, agent, ...accounts }) => [
    keyOf({ tenant, runId }),
    chainOf(tenant, agent, accounts),
  ]);
}

/** Makes a condition on reservations `b`: that their run stands on an account. */
export function isReservedOn({ tenant, kind, id }: AccountKey) {
  switch (kind) {
    case 'conversation':
      return sql`b.tenant = ${tenant} and ${ofRun(sql`r.conversation = ${id}`)}`;
    case 'user':
      return sql`b.tenant = ${tenant} and ${ofRun(sql`r.person = ${id}`)}`;
    case 'tenant':
      return sql`b.tenant = ${tenant}`;
    case 'agent':
      return sql`exists (select from perdure.runs r where r.tenant = b.tenant and r.id = b.run_id and r.agent = ${id})`;
    case 'organisation':
      return sql`true`;
  }
}

function ofRun(condition: ReturnType<typeof sql>) {
  return sql`exists (select from perdure.run_accounts r where r.tenant = b.tenant and r.run_id = b.run_id and ${condition})`;
}
