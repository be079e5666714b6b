import { sql } from 'kysely';
import { formatUsd } from '../domain/model/price.ts';
import { type Balance, isNearCap, type Period, type UpperKind } from '../domain/policy/budget.ts';
import { appendAudit } from './audit.ts';
import { type Charge, keyOf, moved, moveRuns, type RunKey, type WatchedBalance } from './budget-account.ts';
import { type LockedCounter, moveCounters } from './budget-counters.ts';
import type { Db } from './database.ts';

/** A reservation, and what its call is known to have cost. `closedAt` is null where its own attempt did not say so. */
export type NewCharge = RunKey & { readonly id: string; readonly charge: Charge; readonly closedAt: Date | null };

/** A reservation that was charged just now. */
type Charged = RunKey & {
  readonly id: string;
  readonly costPico: bigint;
  readonly tokens: bigint;
  readonly worstPico: bigint;
  readonly worstTokens: bigint;
  readonly counters: readonly string[];
};

/** That an account has used up 80 % of its cap: told once per account and period. */
export type BudgetWarning = {
  readonly tenant: string;
  readonly kind: UpperKind | 'run';
  readonly id: string;
  readonly period: Period;
  readonly usedUsd: string;
  readonly capUsd: string | null;
  readonly usedTokens: number;
  readonly capTokens: number | null;
};

/** Hears of a warning once it is committed. */
export type OnBudgetWarned = (warning: BudgetWarning) => void;

/**
 * Charges reservations, each once: one that is settled already is missing in the answer. Neither accounts nor counters are moved yet. What is
 * `held` only says that nobody knows.
 */
export async function chargeReservations(tx: Db, charges: readonly NewCharge[]): Promise<readonly Charged[]> {
  const held = charges.filter(({ charge }) => charge.kind === 'held');
  if (held.length > 0) {
    await sql`
      update perdure.budget_reservations set state = 'held'
       where state = 'reserved' and (tenant, id) in (select * from unnest(
         ${held.map(({ tenant }) => tenant)}::text[], ${held.map(({ id }) => id)}::text[]))`.execute(tx);
  }
  const known = charges.flatMap(({ charge, ...rest }) =>
    charge.kind === 'held' ? [] : [{ ...rest, ...amountOf(charge) }],
  );
  if (known.length === 0) return [];
  const { rows } = await sql<{
    tenant: string;
    id: string;
    run_id: string;
    worst_pico: string;
    worst_tokens: string;
    actual_pico: string;
    actual_tokens: string;
    counters: string[];
  }>`
    update perdure.budget_reservations b
       set state = u.state, actual_pico = u.pico, actual_tokens = u.tokens, closed_at = u.closed_at
      from unnest(${known.map((each) => each.tenant)}::text[], ${known.map((each) => each.id)}::text[],
                  ${known.map((each) => each.state)}::text[], ${known.map((each) => String(each.costPico))}::numeric[],
                  ${known.map((each) => String(each.tokens))}::bigint[],
                  ${known.map((each) => each.closedAt?.toISOString() ?? null)}::timestamptz[])
             as u (tenant, id, state, pico, tokens, closed_at)
     where b.tenant = u.tenant and b.id = u.id and b.state in ('reserved', 'held')
    returning b.tenant, b.id, b.run_id, b.worst_pico, b.worst_tokens, b.actual_pico, b.actual_tokens, b.counters`.execute(
    tx,
  );
  return rows.map((row) => ({
    tenant: row.tenant,
    id: row.id,
    runId: row.run_id,
    costPico: BigInt(row.actual_pico),
    tokens: BigInt(row.actual_tokens),
    worstPico: BigInt(row.worst_pico),
    worstTokens: BigInt(row.worst_tokens),
    counters: row.counters,
  }));
}

function amountOf(charge: Exclude<Charge, { kind: 'held' }>) {
  return charge.kind === 'free'
    ? { state: 'released', costPico: 0n, tokens: 0 }
    : { state: 'settled', costPico: charge.costPico, tokens: charge.tokens };
}

/**
 * Moves what was charged on the accounts of the runs, which are locked, and gives how these stand then. Nothing above them is touched yet: what else the
 * transaction writes comes between.
 */
export async function moveCharged(
  tx: Db,
  charged: readonly Charged[],
  locked: ReadonlyMap<string, WatchedBalance>,
): Promise<Map<string, WatchedBalance>> {
  const runs = new Map(locked);
  for (const each of charged) {
    const balance = runs.get(keyOf(each));
    if (balance !== undefined) runs.set(keyOf(each), moved(balance, toMove(each)));
  }
  await moveRuns(
    tx,
    charged.map((each) => ({ tenant: each.tenant, runId: each.runId, ...toMove(each) })),
  );
  return runs;
}

/**
 * Moves what was charged on the counters above the runs: the last statement of its transaction but for warnings. Gives those that are due.
 *
 * @param runs The runs' accounts after `moveCharged`.
 */
export async function moveAbove(
  tx: Db,
  charged: readonly Charged[],
  runs: ReadonlyMap<string, WatchedBalance>,
): Promise<readonly BudgetWarning[]> {
  const charging = [...new Map(charged.map((each) => [keyOf(each), each])).values()];
  const near = await warnRuns(
    tx,
    charging.flatMap((each) => {
      const balance = runs.get(keyOf(each));
      return balance === undefined ? [] : [{ ...each, balance }];
    }),
  );
  const counters = await moveCounters(
    tx,
    charged.flatMap((each) => each.counters.map((counter) => ({ counter, ...toMove(each) }))),
  );
  return [...near, ...(await warnCounters(tx, counters))];
}

/** Writes down which of these runs, whose accounts are locked, are near their cap and were not told so yet. */
export async function warnRuns(
  tx: Db,
  runs: readonly (RunKey & { readonly balance: WatchedBalance })[],
): Promise<readonly BudgetWarning[]> {
  const due = runs
    .filter(({ balance }) => !balance.isWarned && isNearCap(balance))
    .map(({ tenant, runId: id, balance }) => warningOf({ tenant, kind: 'run', id, period: 'total' }, balance));
  for (const warning of due) await writeWarning(tx, warning, null);
  return due;
}

/** Does the same for counters above runs, which are locked. */
export async function warnCounters(tx: Db, counters: readonly LockedCounter[]): Promise<readonly BudgetWarning[]> {
  const due = counters.filter((counter) => !counter.isWarned && isNearCap(counter));
  for (const counter of due) await writeWarning(tx, warningOf(counter, counter), counter);
  return due.map((counter) => warningOf(counter, counter));
}

function toMove({ costPico, tokens, worstPico, worstTokens }: Charged) {
  return { spentPico: costPico, spentTokens: tokens, heldPico: -worstPico, heldTokens: -worstTokens };
}

function warningOf(
  { tenant, kind, id, period }: Pick<BudgetWarning, 'tenant' | 'kind' | 'id' | 'period'>,
  { capPico, capTokens, ...used }: Balance,
): BudgetWarning {
  return {
    tenant,
    kind,
    id,
    period,
    usedUsd: formatUsd(used.spentPico + used.heldPico),
    capUsd: capPico === null ? null : formatUsd(capPico),
    usedTokens: Number(used.spentTokens + used.heldTokens),
    capTokens: capTokens === null ? null : Number(capTokens),
  };
}

/** The mark and the audit are of the transaction that crossed the line, so that it is told once. */
async function writeWarning(tx: Db, warning: BudgetWarning, counter: LockedCounter | null): Promise<void> {
  const { tenant, kind, id, ...after } = warning;
  if (counter === null) {
    await sql`update perdure.budget_accounts set warned_at = now()
               where tenant = ${tenant} and kind = 'run' and id = ${id}`.execute(tx);
  } else {
    await sql`update perdure.budget_counters set warned_at = now() where counter = ${counter.counter}`.execute(tx);
  }
  await appendAudit(tx, tenant, {
    principal: 'perdure',
    action: 'budget.warn',
    target: kind === 'run' ? id : budgetTarget(kind, id),
    after,
  });
}

/** Names an account above the run in the audit: runs and their effects have ids of their own there. */
export function budgetTarget(kind: string, id: string): string {
  return `budget ${kind} ${id}`;
}
