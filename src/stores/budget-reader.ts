import { sql } from 'kysely';
import type { Balance, Period, UpperKind } from '../domain/policy/budget.ts';
import { balanceOf } from './budget-account.ts';
import { type AccountKey, isReservedOn, NO_TENANT } from './budget-chain.ts';
import { PERIOD_BEGIN } from './budget-counters.ts';
import type { Db } from './database.ts';

/** An account as people see it, in its current period. */
export type AccountRecord = Balance & {
  readonly tenant: string;
  readonly kind: UpperKind | 'run';
  readonly id: string;
  readonly period: Period;
  /** Null where the cap holds for ever. */
  readonly endsAt: Date | null;
  readonly isWarned: boolean;
};

/** Which accounts to list. Without an id those without a cap are left out: nobody counts what they use, and adding it up for each takes time. */
export type AccountFilter = { readonly kind?: UpperKind; readonly id?: string };

type Row = Parameters<typeof balanceOf>[0] & {
  readonly tenant: string;
  readonly kind: UpperKind | 'run';
  readonly id: string;
  readonly period: Period;
  readonly ends_at: Date | null;
  readonly is_warned: boolean;
  readonly is_counted: boolean;
};

const COLUMNS = sql`a.tenant, a.kind, a.id, a.period, a.is_counted,
  case a.period when 'total' then null
    else (date_trunc(a.period, now() at time zone 'utc') + ('1 ' || a.period)::interval) at time zone 'utc' end as ends_at,
  case a.kind when 'run' then a.cap_pico else a.cap_pico + coalesce(c.extra_pico, 0) end as cap_pico,
  case a.kind when 'run' then a.cap_tokens else a.cap_tokens + coalesce(c.extra_tokens, 0) end as cap_tokens,
  case a.kind when 'run' then a.spent_pico else coalesce(c.spent_pico, 0) end as spent_pico,
  case a.kind when 'run' then a.spent_tokens else coalesce(c.spent_tokens, 0) end as spent_tokens,
  case a.kind when 'run' then a.held_pico else coalesce(c.held_pico, 0) end as held_pico,
  case a.kind when 'run' then a.held_tokens else coalesce(c.held_tokens, 0) end as held_tokens,
  coalesce(a.warned_at, c.warned_at) is not null as is_warned`;

const ACCOUNTS = sql`perdure.budget_accounts a
  left join perdure.budget_counters c
    on c.tenant = a.tenant and c.kind = a.kind and c.id = a.id and c.era = a.era and c.begins_at = ${PERIOD_BEGIN}`;

const WIDTH = sql`array_position(array['run', 'conversation', 'user', 'tenant', 'agent', 'organisation'], a.kind)`;

/** Accounts of one list: what a person can look through. */
const ROWS_MAX = 500;

/** Reads the accounts of a run that have a cap, its own first. */
export async function readChain(
  db: Db,
  tenant: string,
  runId: string,
  chain: readonly AccountKey[],
): Promise<readonly AccountRecord[]> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from ${ACCOUNTS}
     where (a.tenant = ${tenant} and a.kind = 'run' and a.id = ${runId})
        or (a.is_counted and (a.cap_pico is not null or a.cap_tokens is not null)
            and (a.tenant, a.kind, a.id) in (select * from unnest(
              ${chain.map((each) => each.tenant)}::text[], ${chain.map((each) => each.kind)}::text[],
              ${chain.map((each) => each.id)}::text[])))
     order by ${WIDTH}`.execute(db);
  return rows.map(toRecord);
}

/** Lists accounts above the run: a tenant's own and those that belong to none. */
export async function readAccounts(
  db: Db,
  tenant: string | null,
  { kind, id }: AccountFilter,
): Promise<readonly AccountRecord[]> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from ${ACCOUNTS}
     where a.kind <> 'run'
       and (${tenant}::text is null or a.tenant in (${tenant}, ${NO_TENANT}))
       and (${kind ?? null}::text is null or a.kind = ${kind ?? null})
       and (case when ${id ?? null}::text is null then a.cap_pico is not null or a.cap_tokens is not null else a.id = ${id ?? null} end)
     order by ${WIDTH} desc, a.tenant, a.id
     limit ${ROWS_MAX}`.execute(db);
  return Promise.all(rows.map(async (row) => (row.is_counted ? toRecord(row) : addUp(db, row))));
}

/** Nobody counts what an account without a cap uses: it is added up from the reservations. */
async function addUp(db: Db, row: Row): Promise<AccountRecord> {
  const { tenant, kind, id } = row;
  const { rows } = await sql<Pick<Row, 'spent_pico' | 'spent_tokens' | 'held_pico' | 'held_tokens'>>`
    select coalesce(sum(b.actual_pico) filter (where b.state = 'settled'), 0) as spent_pico,
           coalesce(sum(b.actual_tokens) filter (where b.state = 'settled'), 0)::bigint as spent_tokens,
           coalesce(sum(b.worst_pico) filter (where b.state in ('reserved', 'held')), 0) as held_pico,
           coalesce(sum(b.worst_tokens) filter (where b.state in ('reserved', 'held')), 0)::bigint as held_tokens
      from perdure.budget_reservations b
     where ${kind === 'run' ? sql`b.tenant = ${tenant} and b.run_id = ${id}` : isReservedOn({ tenant, kind, id })}`.execute(
    db,
  );
  return toRecord({ ...row, ...rows[0], period: 'total', ends_at: null });
}

function toRecord({ tenant, kind, id, period, ends_at: endsAt, is_warned: isWarned, ...row }: Row): AccountRecord {
  return { tenant, kind, id, period, endsAt, isWarned, ...balanceOf(row) };
}
