import { sql } from 'kysely';
import { isNearCap as isNear, type Period } from '../domain/policy/budget.ts';
import type { RunTotal } from '../domain/run/results.ts';
import { appendAudit } from './audit.ts';
import { type Charge, COUNTING_LOCK, lockRuns } from './budget-account.ts';
import { type AccountKey, type createChains, ensureAccounts, isReservedOn, type RunAccounts } from './budget-chain.ts';
import { ensureCounters, PERIOD_BEGIN } from './budget-counters.ts';
import { type AccountRecord, readAccounts, readChain, type AccountFilter } from './budget-reader.ts';
import {
  type BudgetWarning,
  budgetTarget,
  chargeReservations,
  moveAbove,
  moveCharged,
  type OnBudgetWarned,
} from './charge-calls.ts';
import type { Db } from './database.ts';
import { findHeld, type HeldReservation, readHeld } from './held-reader.ts';

/** What a person wants of an account: caps for a period, or none. */
export type NewCap = { readonly pico: bigint | null; readonly tokens: number | null; readonly period: Period };

/** Who does it, and why. */
export type ByPerson = { readonly principal: string; readonly reason?: string };

/** What became of a person's word about a reservation. */
export type HeldSettled =
  | { readonly kind: 'settled'; readonly held: HeldReservation }
  | { readonly kind: 'not-held'; readonly state: string }
  /** Its attempt may still be at work and know better. */
  | { readonly kind: 'under-way'; readonly held: HeldReservation }
  | { readonly kind: 'too-much'; readonly held: HeldReservation };

/** Keeps the budgets above the run: their caps, what they have used, and what people say of money that is held. */
export function createBudgets(db: Db, chains: ReturnType<typeof createChains>, onWarned: OnBudgetWarned) {
  return {
    /** Says whether any account of a run's chain has used up 80 % of its cap, so that a cheaper model is to be preferred. */
    async isNearCap(tenant: string, runId: string): Promise<boolean> {
      const chain = (await chains.of([{ tenant, runId }])).get(`${tenant} ${runId}`);
      const accounts = await readChain(db, tenant, runId, chain?.accounts ?? []);
      return accounts.some(isNear);
    },
    /** Gives what a run has used by now. */
    async totalOf(tenant: string, runId: string): Promise<RunTotal> {
      const [own] = await readChain(db, tenant, runId, []);
      return { costPico: String(own?.spentPico ?? 0n), tokens: Number(own?.spentTokens ?? 0n) };
    },
    /** Gives the accounts of a run that have a cap, from the narrowest to the widest. */
    async ofRun(tenant: string, runId: string): Promise<readonly AccountRecord[]> {
      const chain = (await chains.of([{ tenant, runId }])).get(`${tenant} ${runId}`);
      return readChain(db, tenant, runId, chain?.accounts ?? []);
    },
    /** Gives what was fixed about a run at its admission; null where an older version admitted it. */
    async accountsOf(tenant: string, runId: string): Promise<RunAccounts | null> {
      const row = await db
        .selectFrom('run_accounts')
        .select(['person', 'conversation', 'waits'])
        .where('tenant', '=', tenant)
        .where('run_id', '=', runId)
        .executeTakeFirst();
      return row ?? null;
    },
    /** Tells whether a run of an account was admitted, or a cap was set: the organisation is known from the beginning. */
    async isKnown({ tenant, kind, id }: AccountKey): Promise<boolean> {
      const rows = db.selectFrom('budget_accounts').select('id').where('tenant', '=', tenant);
      const row = await rows.where('kind', '=', kind).where('id', '=', id).executeTakeFirst();
      return kind === 'organisation' || row !== undefined;
    },
    /** Lists accounts of a tenant and those of none; of all tenants where it is null. */
    list: (tenant: string | null, filter: AccountFilter) => readAccounts(db, tenant, filter),
    setCap: (tenant: string, account: AccountKey, cap: NewCap | null, by: ByPerson) =>
      setCap(db, { ...account, tenant }, cap, by),
    /** Adds to what an account may use in its current period. False where it has no such cap. */
    topUp: (tenant: string, account: AccountKey, amount: TopUpAmount, by: ByPerson) =>
      topUp(db, { ...account, tenant }, amount, by),
    /** Lists reservations of which nobody knows what they cost. */
    held: (tenant: string | null) => readHeld(db, tenant),
    /** Finds a reservation by its id alone: runs of two tenants never share one. */
    findReservation: (id: string) => findHeld(db, null, id),
    async settleHeld(tenant: string, id: string, charge: HeldCharge, by: ByPerson): Promise<HeldSettled | null> {
      const { result, warnings } = await db.transaction().execute(async (tx) => settleHeld(tx, tenant, id, charge, by));
      for (const warning of warnings) onWarned(warning);
      return result;
    },
  };
}

/** Amounts to add to caps. */
export type TopUpAmount = { readonly pico: bigint | null; readonly tokens: number | null };

/** What a person found out. Tokens that are not named are taken for as many as were reserved. */
export type HeldCharge =
  { readonly kind: 'free' } | { readonly kind: 'paid'; readonly pico: bigint; readonly tokens: number | null };

/** Sets or takes away the caps of an account. */
async function setCap(db: Db, account: AccountKey, cap: NewCap | null, by: ByPerson): Promise<void> {
  await ensureAccounts(db, [account]);
  await db.connection().execute(async (session) => {
    // One person at a time. A lock of the session: it is gone with whoever held it.
    const name = sql`hashtextextended(${`perdure budget ${account.kind} ${account.tenant} ${account.id}`}, 0)`;
    await sql`select pg_advisory_lock(${name})`.execute(session);
    try {
      await setCapAlone(db, account, cap, by);
    } finally {
      await sql`select pg_advisory_unlock(${name})`.execute(session);
    }
  });
}

async function setCapAlone(db: Db, account: AccountKey, cap: NewCap | null, by: ByPerson): Promise<void> {
  const before = await read(db, account);
  const isAnew = cap !== null && !(before.is_counted && before.is_ready && before.period === cap.period);
  await db.transaction().execute(async (tx) => {
    const old = await read(tx, account);
    await tx
      .updateTable('budget_accounts')
      .set((eb) => ({
        cap_pico: cap?.pico ?? null,
        cap_tokens: cap?.tokens ?? null,
        // Without a cap nothing is counted, and nobody locks a row for it. What is counted again later is added up from the reservations.
        is_counted: cap !== null,
        is_ready: !isAnew,
        ...(cap === null ? {} : { period: cap.period }),
        ...(isAnew ? { era: eb('era', '+', 1) } : {}),
      }))
      .where('tenant', '=', account.tenant)
      .where('kind', '=', account.kind)
      .where('id', '=', account.id)
      .execute();
    const extra = await beginAnew(tx, account);
    await appendAudit(tx, account.tenant, {
      principal: by.principal,
      action: 'budget.set',
      target: budgetTarget(account.kind, account.id),
      before: { capPico: old.cap_pico, capTokens: old.cap_tokens, period: old.period, ...extra },
      after: {
        capPico: cap?.pico?.toString() ?? null,
        capTokens: cap?.tokens ?? null,
        period: cap?.period ?? old.period,
        ...(by.reason === undefined ? {} : { reason: by.reason }),
      },
    });
  });
  if (isAnew) await countBefore(db, account);
}

type StandingAccount = {
  readonly cap_pico: string | null;
  readonly cap_tokens: string | null;
  readonly period: Period;
  readonly is_counted: boolean;
  /** False where what was used before the cap is being added up, or adding it up was cut off. */
  readonly is_ready: boolean;
};

async function read(db: Db, { tenant, kind, id }: AccountKey): Promise<StandingAccount> {
  const { rows } = await sql<StandingAccount>`
    select cap_pico, cap_tokens, period, is_counted, is_ready and (cap_pico is not null or cap_tokens is not null) as is_ready
      from perdure.budget_accounts where tenant = ${tenant} and kind = ${kind} and id = ${id}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error(`the account of ${kind} ${id} was erased meanwhile`);
  return row;
}

/**
 * Counts what an account has used before its cap was set, exactly, while calls go on. It is marked as counting already, and every transaction that did
 * not see the mark is waited for: from then on each new reservation stands on its counter. Then the reservations that are open are put on it one by one, and
 * at last what was settled before is added up; neither can change any more. Until then the cap refuses by what is counted so far. Cut off anywhere, the next
 * `setCap` begins anew.
 */
async function countBefore(db: Db, account: AccountKey): Promise<void> {
  const { tenant, kind, id } = account;
  await ensureCounters(db, [account]);
  // Every money transaction that began before holds this lock shared, and every one that comes after sees the mark.
  await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(COUNTING_LOCK)})`.execute(tx);
  });
  const { rows } = await sql<{ counter: string; begins_at: Date | number }>`
    select c.counter from perdure.budget_accounts a
      join perdure.budget_counters c on c.tenant = a.tenant and c.kind = a.kind and c.id = a.id and c.era = a.era
     where a.tenant = ${tenant} and a.kind = ${kind} and a.id = ${id}
     order by c.begins_at limit 1`.execute(db);
  const counter = rows[0]?.counter;
  if (counter === undefined) throw new Error(`the counter of ${kind} ${id} was erased meanwhile`);
  await adoptOpen(db, account, counter);
  await addUpSettled(db, account, counter);
  await db
    .updateTable('budget_accounts')
    .set({ is_ready: true })
    .where('tenant', '=', tenant)
    .where('kind', '=', kind)
    .where('id', '=', id)
    .execute();
}

/** Puts reservations on a counter that were open before it was there. One to a transaction: nothing that it waits for can wait for it. */
async function adoptOpen(db: Db, account: AccountKey, counter: string): Promise<void> {
  const { rows } = await sql<{ tenant: string; id: string }>`
    select b.tenant, b.id from perdure.budget_reservations b
      join perdure.budget_counters c on c.counter = ${counter}
     where b.state in ('reserved', 'held') and not (c.counter = any(b.counters))
       and b.opened_at >= c.begins_at and ${isReservedOn(account)}`.execute(db);
  for (const { tenant, id } of rows) {
    await sql`
      with adopted as (
        update perdure.budget_reservations set counters = counters || ${counter}::bigint
         where tenant = ${tenant} and id = ${id} and state in ('reserved', 'held') and not (${counter}::bigint = any(counters))
        returning worst_pico, worst_tokens)
      update perdure.budget_counters c
         set held_pico = c.held_pico + a.worst_pico, held_tokens = c.held_tokens + a.worst_tokens
        from adopted a where c.counter = ${counter}`.execute(db);
  }
}

async function addUpSettled(db: Db, account: AccountKey, counter: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // Years of calls take a while to add up, and nobody waits for it but the person who asked.
    await sql`set local statement_timeout = '15min'`.execute(tx);
    const { rows } = await sql<{ pico: string; tokens: string }>`
      select coalesce(sum(b.actual_pico), 0) as pico, coalesce(sum(b.actual_tokens), 0)::bigint as tokens
        from perdure.budget_reservations b
        join perdure.budget_counters k on k.counter = ${counter}
       where b.state = 'settled' and not (k.counter = any(b.counters))
         and b.opened_at >= k.begins_at and ${isReservedOn(account)}`.execute(tx);
    const { pico = '0', tokens = '0' } = rows[0] ?? {};
    await sql`
      update perdure.budget_counters c
         set spent_pico = c.spent_pico + ${pico}::numeric, spent_tokens = c.spent_tokens + ${tokens}::bigint
       where c.counter = ${counter}`.execute(tx);
  });
}

async function topUp(db: Db, account: AccountKey, amount: TopUpAmount, by: ByPerson): Promise<boolean> {
  const { tenant, kind, id } = account;
  await ensureCounters(db, [account]);
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ cap_pico: string | null; cap_tokens: string | null }>`
      update perdure.budget_counters c
         set extra_pico = c.extra_pico + ${String(amount.pico ?? 0n)}::numeric,
             extra_tokens = c.extra_tokens + ${String(amount.tokens ?? 0)}::bigint, warned_at = null
        from perdure.budget_accounts a
       where a.tenant = ${tenant} and a.kind = ${kind} and a.id = ${id} and a.is_counted
         and (${amount.pico === null} or a.cap_pico is not null) and (${amount.tokens === null} or a.cap_tokens is not null)
         and c.tenant = a.tenant and c.kind = a.kind and c.id = a.id and c.era = a.era and c.begins_at = ${PERIOD_BEGIN}
      returning a.cap_pico + c.extra_pico as cap_pico, a.cap_tokens + c.extra_tokens as cap_tokens`.execute(tx);
    const [row] = rows;
    if (row === undefined) return false;
    const { cap_pico: capPico, cap_tokens: capTokens } = row;
    await appendAudit(tx, tenant, {
      principal: by.principal,
      action: 'budget.top-up',
      target: budgetTarget(kind, id),
      before: {
        capPico: capPico === null ? null : String(BigInt(capPico) - (amount.pico ?? 0n)),
        capTokens: capTokens === null ? null : Number(capTokens) - (amount.tokens ?? 0),
      },
      after: {
        ...(amount.pico === null ? {} : { costPico: String(amount.pico) }),
        ...(amount.tokens === null ? {} : { tokens: amount.tokens }),
        capPico,
        capTokens: capTokens === null ? null : Number(capTokens),
        ...(by.reason === undefined ? {} : { reason: by.reason }),
      },
    });
    return true;
  });
}

/**
 * Takes back the top-ups of the current period, because a cap is what was said last, and its line is one to cross anew. Gives what they were. One row only, the
 * newest period's: whoever settles calls of two periods locks the older one first.
 */
async function beginAnew(
  tx: Db,
  { tenant, kind, id }: AccountKey,
): Promise<{ readonly extraPico?: string; readonly extraTokens?: string }> {
  const { rows } = await sql<{ pico: string; tokens: string }>`
    with old as (
      select c.counter, c.extra_pico, c.extra_tokens from perdure.budget_counters c
       where c.counter = (
         select max(counter) from perdure.budget_counters
          where tenant = ${tenant} and kind = ${kind} and id = ${id})
         for update)
    update perdure.budget_counters c set warned_at = null, extra_pico = 0, extra_tokens = 0
      from old where c.counter = old.counter
    returning old.extra_pico as pico, old.extra_tokens as tokens`.execute(tx);
  const { pico = '0', tokens = '0' } = rows[0] ?? {};
  return {
    ...(pico === '0' ? {} : { extraPico: pico }),
    ...(tokens === '0' ? {} : { extraTokens: tokens }),
  };
}

/** Settles or frees a held reservation on every account that it stands on, by a person's word. */
async function settleHeld(
  tx: Db,
  tenant: string,
  id: string,
  word: HeldCharge,
  by: ByPerson,
): Promise<{ readonly result: HeldSettled | null; readonly warnings: readonly BudgetWarning[] }> {
  const nothing = (result: HeldSettled | null) => ({ result, warnings: [] });
  const first = await findHeld(tx, tenant, id);
  if (first === null) return nothing(null);
  const { runId } = first;
  const locked = await lockRuns(tx, [{ tenant, runId }]);
  // Its attempt may have settled it while this waited.
  const held = (await findHeld(tx, tenant, id)) ?? first;
  if (held.state !== 'held' && held.state !== 'reserved') return nothing({ kind: 'not-held', state: held.state });
  if (held.isUnderWay) return nothing({ kind: 'under-way', held });
  if (word.kind === 'paid' && (word.pico > held.worstPico || (word.tokens ?? 0) > held.worstTokens)) {
    return nothing({ kind: 'too-much', held });
  }
  const charge: Charge =
    word.kind === 'free'
      ? { kind: 'free' }
      : { kind: 'settled', costPico: word.pico, tokens: word.tokens ?? held.worstTokens };
  const charged = await chargeReservations(tx, [{ tenant, runId, id, charge, closedAt: null }]);
  await appendAudit(tx, tenant, {
    principal: by.principal,
    action: 'budget.settle',
    target: runId,
    before: { reservation: id, state: held.state, worstPico: String(held.worstPico), worstTokens: held.worstTokens },
    after: {
      costPico: charge.kind === 'settled' ? String(charge.costPico) : '0',
      tokens: charge.kind === 'settled' ? charge.tokens : 0,
      ...(by.reason === undefined ? {} : { reason: by.reason }),
    },
  });
  const warnings = await moveAbove(tx, charged, await moveCharged(tx, charged, locked));
  return { result: { kind: 'settled', held }, warnings };
}
