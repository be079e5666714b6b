import { sql } from 'kysely';
import { type Balance, type Period, UPPER_KINDS, type UpperKind } from '../domain/policy/budget.ts';
import { balanceOf, type WatchedBalance } from './budget-account.ts';
import type { AccountKey } from './budget-chain.ts';
import type { Db } from './database.ts';

/** An account that counts what is used, with its counter of the current period; null before that period's first call. */
export type CountedAccount = AccountKey & {
  readonly counter: string | null;
  readonly period: Period;
};

/** A counter that is locked: what its account may use in its period, and has used. */
export type LockedCounter = AccountKey & WatchedBalance & { readonly counter: string; readonly period: Period };

/** What moves on a counter; negative amounts free what was held. */
export type CounterMove = {
  readonly counter: string;
  readonly spentPico: bigint;
  readonly spentTokens: bigint;
  readonly heldPico: bigint;
  readonly heldTokens: bigint;
};

type CounterRow = AccountKey &
  Parameters<typeof balanceOf>[0] & { readonly counter: string; readonly period: Period; readonly is_warned: boolean };

/** Thrown where a period has begun for an account and nobody has made its counter: it is made outside of the transaction, which then begins anew. */
export class CountersMissing extends Error {
  readonly accounts: readonly AccountKey[];

  constructor(accounts: readonly AccountKey[]) {
    super('a period has begun');
    this.accounts = accounts;
  }
}

/** Begin of the account's current period, in UTC. The transaction's time decides, for the reservation as for its counter. */
export const PERIOD_BEGIN = sql`case a.period when 'total' then '-infinity'::timestamptz
  else date_trunc(a.period, now() at time zone 'utc') at time zone 'utc' end`;

/** Narrow before wide, and then by number: whoever locks several counters takes them in this order, the one that everybody wants last. */
const LOCK_ORDER = sql`array_position(${sql.lit(`{${UPPER_KINDS.join(',')}}`)}::text[], c.kind), c.counter`;

/** Finds which of these accounts count. Those without a cap do not: they are read here and locked nowhere. */
export async function readCounted(tx: Db, accounts: readonly AccountKey[]): Promise<readonly CountedAccount[]> {
  const { rows } = await sql<CountedAccount>`
    select a.tenant, a.kind, a.id, a.period, c.counter
      from perdure.budget_accounts a
      left join perdure.budget_counters c
        on c.tenant = a.tenant and c.kind = a.kind and c.id = a.id and c.era = a.era and c.begins_at = ${PERIOD_BEGIN}
     where a.is_counted and ${isOneOf(accounts)}`.execute(tx);
  return rows;
}

/** Makes the counters of the current period where there are none. */
export async function ensureCounters(db: Db, accounts: readonly AccountKey[]): Promise<void> {
  for (const account of accounts) {
    await sql`
      insert into perdure.budget_counters (tenant, kind, id, era, begins_at)
      select a.tenant, a.kind, a.id, a.era, ${PERIOD_BEGIN}
        from perdure.budget_accounts a where a.is_counted and ${isOneOf([account])}
      on conflict do nothing`.execute(db);
  }
}

/** Locks counters, narrow before wide, and reads what they leave. */
export async function lockCounters(tx: Db, counters: readonly string[]): Promise<readonly LockedCounter[]> {
  if (counters.length === 0) return [];
  const { rows } = await sql<CounterRow>`
    select ${COUNTER_COLUMNS}
      from perdure.budget_counters c
      join perdure.budget_accounts a on a.tenant = c.tenant and a.kind = c.kind and a.id = c.id
     where c.counter = any(${counters}::bigint[])
     order by ${LOCK_ORDER}
       for update of c`.execute(tx);
  return rows.map(toLocked);
}

/**
 * Moves what counters have spent and hold, in one statement that is the last of its transaction: it locks narrow before wide, so the widest row is
 * held for no longer than the commit takes. Gives how the counters stand then.
 */
export async function moveCounters(tx: Db, moves: readonly CounterMove[]): Promise<readonly LockedCounter[]> {
  if (moves.length === 0) return [];
  const { rows } = await sql<CounterRow>`
    with moves as materialized (
      select counter, sum(spent_pico) as spent_pico, sum(spent_tokens)::bigint as spent_tokens,
             sum(held_pico) as held_pico, sum(held_tokens)::bigint as held_tokens
        from unnest(${moves.map((each) => each.counter)}::bigint[],
                    ${moves.map((each) => String(each.spentPico))}::numeric[],
                    ${moves.map((each) => String(each.spentTokens))}::bigint[],
                    ${moves.map((each) => String(each.heldPico))}::numeric[],
                    ${moves.map((each) => String(each.heldTokens))}::bigint[])
             as u (counter, spent_pico, spent_tokens, held_pico, held_tokens)
       group by counter),
    locked as materialized (
      select c.counter from perdure.budget_counters c
       where c.counter in (select counter from moves)
       order by ${LOCK_ORDER} for update)
    update perdure.budget_counters c
       set spent_pico = c.spent_pico + m.spent_pico, spent_tokens = c.spent_tokens + m.spent_tokens,
           held_pico = c.held_pico + m.held_pico, held_tokens = c.held_tokens + m.held_tokens
      from locked l join moves m on m.counter = l.counter, perdure.budget_accounts a
     where c.counter = l.counter and a.tenant = c.tenant and a.kind = c.kind and a.id = c.id
    returning ${COUNTER_COLUMNS}`.execute(tx);
  return rows.map(toLocked);
}

/** An account that no longer counts, or counts anew, binds nobody through an older counter. */
const COUNTER_COLUMNS = sql`c.tenant, c.kind, c.id, c.counter, a.period, c.warned_at is not null as is_warned,
  case when a.is_counted and a.era = c.era then a.cap_pico + c.extra_pico end as cap_pico,
  case when a.is_counted and a.era = c.era then a.cap_tokens + c.extra_tokens end as cap_tokens,
  c.spent_pico, c.spent_tokens, c.held_pico, c.held_tokens`;

function toLocked(row: CounterRow): LockedCounter {
  const { tenant, kind, id, counter, period, is_warned: isWarned } = row;
  return {
    tenant,
    kind: kind satisfies UpperKind,
    id,
    counter,
    period,
    isWarned,
    ...(balanceOf(row) satisfies Balance),
  };
}

/** A condition on the accounts `a`. */
function isOneOf(accounts: readonly AccountKey[]) {
  return sql`(a.tenant, a.kind, a.id) in (select * from unnest(
    ${accounts.map(({ tenant }) => tenant)}::text[], ${accounts.map(({ kind }) => kind)}::text[],
    ${accounts.map(({ id }) => id)}::text[]))`;
}
