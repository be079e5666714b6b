import { sql } from 'kysely';
import type { RunTotal } from '../domain/run/results.ts';
import { addAmounts, type Amount, type Balance, refusedBy } from '../domain/policy/budget.ts';
import {
  accountMissing,
  countHeld,
  keyOf,
  lockRuns,
  moved,
  moveRuns,
  totalOf,
  type WatchedBalance,
} from './budget-account.ts';
import type { AccountKey, Chain } from './budget-chain.ts';
import { CountersMissing, lockCounters, type LockedCounter, moveCounters, readCounted } from './budget-counters.ts';
import type { Opened, Reservation } from './call-types.ts';
import { type BudgetWarning, warnCounters, warnRuns } from './charge-calls.ts';
import type { Db, StoredReply } from './database.ts';
import { type NewObservation, type OpenObservation, openObservations, toOpen } from './observations.ts';

/** A call that is about to be made. */
export type NewCall = {
  readonly tenant: string;
  readonly reservation: Reservation;
  readonly observation: NewObservation;
};

/** What became of it, and what its run has used; an error where the run has no account. */
export type Opening = { readonly came: Opened | Kept; readonly total: RunTotal } | Error;

type Asked = NewCall & { readonly runId: string; readonly turn: number; readonly summaryKey: string | null };
type Granted = Asked & { readonly open: OpenObservation };
type Calls = { readonly settled: number; readonly held: number };

/** Accounts as they stand while a batch is judged: each call sees what the ones before it took. */
type Till = {
  readonly runs: Map<string, WatchedBalance>;
  readonly counters: Map<string, LockedCounter>;
  readonly chains: ReadonlyMap<string, Chain>;
};

/** What became of a batch, and which accounts people are to be told of. */
export type OpenedBatch = { readonly openings: readonly Opening[]; readonly warnings: readonly BudgetWarning[] };

/**
 * Opens calls in one transaction: gives what was kept, refuses what an account of the run's chain cannot bear, or reserves the worst case on all of
 * them. The accounts of runs are locked first and the counters above them last, narrow before wide. An account that refuses is told of as one that is
 * nearly used up, unless it was before: where nothing is settled any more, nothing else would tell.
 *
 * @throws CountersMissing where a period has begun.
 */
export async function openCalls(
  tx: Db,
  calls: readonly NewCall[],
  chains: ReadonlyMap<string, Chain>,
): Promise<OpenedBatch> {
  const asked = calls.map(toAsked);
  const runs = new Map(await lockRuns(tx, asked));
  const kept = await findKept(tx, asked);
  const fresh = asked.filter((call, index) => kept[index] === undefined && runs.has(keyOf(call)));
  await holdEarlier(tx, fresh);
  const counts = await countCalls(tx, fresh);
  const counters = await lockUppers(tx, fresh, chains);
  const till: Till = { runs, counters, chains };
  const granted: Granted[] = [];
  const openings: Opening[] = [];
  const refusing = new Set<Asked>();
  for (const [index, call] of asked.entries()) {
    const balance = till.runs.get(keyOf(call));
    if (balance === undefined) {
      openings.push(accountMissing(call.runId));
      continue;
    }
    const total = totalOf(balance);
    const found = kept[index];
    if (found !== undefined) {
      openings.push({ came: found, total });
      continue;
    }
    const refused = await judge(tx, till, call, balance, counts.get(placeOf(call)) ?? { settled: 0, held: 0 });
    if (refused !== null) {
      if (refused.kind !== 'too-many-calls') refusing.add(call);
      openings.push({ came: refused, total });
      continue;
    }
    take(till, call);
    const open = toOpen(call.observation);
    granted.push({ ...call, open });
    openings.push({ came: { kind: 'reserved', observation: open }, total });
  }
  await write(tx, till, granted);
  return { openings, warnings: await warnOfRefusals(tx, till, refusing) };
}

async function warnOfRefusals(tx: Db, till: Till, refusing: ReadonlySet<Asked>): Promise<readonly BudgetWarning[]> {
  const runs = new Map([...refusing].map((call) => [keyOf(call), call]));
  const near = await warnRuns(
    tx,
    [...runs].flatMap(([key, { tenant, runId }]) => {
      const balance = till.runs.get(key);
      return balance === undefined ? [] : [{ tenant, runId, balance }];
    }),
  );
  const counters = new Map(
    [...refusing].flatMap((call) =>
      countersOf(till.chains.get(keyOf(call)), till.counters).map((counter) => [counter.counter, counter] as const),
    ),
  );
  return [...near, ...(await warnCounters(tx, [...counters.values()]))];
}

function toAsked(call: NewCall): Asked {
  const { runId, turn } = call.observation;
  return { ...call, runId, turn, summaryKey: call.reservation.summaryKey ?? null };
}

/** Says why a call cannot be made; null where it can. What concerns its turn comes before money, and the run's own cap before those above. */
async function judge(
  tx: Db,
  till: Till,
  call: Asked,
  balance: Balance,
  { settled, held }: Calls,
): Promise<Opened | null> {
  const { reservation } = call;
  if (settled >= reservation.unusableMax) return { kind: 'too-many-calls', what: 'unusable', calls: settled };
  if (held >= reservation.unansweredMax) return { kind: 'too-many-calls', what: 'unanswered', calls: held };
  const total = totalOf(balance);
  const worst = worstOf(reservation);
  const used = refusedBy(balance, worst, 'without-held');
  const kept = reservation.heldBack;
  const withAnswer = kept === undefined ? null : addAmounts(worst, { pico: kept.pico, tokens: BigInt(kept.tokens) });
  const closing = withAnswer === null ? null : refusedBy(balance, withAnswer, 'without-held');
  // A cap that never bore both is no reason to forbid the first call: it is used as far as it goes.
  const isSmall =
    withAnswer !== null && refusedBy({ ...balance, ...NOTHING_USED }, withAnswer, 'without-held') !== null;
  if (closing !== null && (used !== null || !isSmall)) {
    return { kind: 'closing', dimension: used ?? closing, total, left: leftOf(balance) };
  }
  if (used !== null) return { kind: 'budget-refused', dimension: used, total };
  const starved = refusedBy(balance, withAnswer === null || isSmall ? worst : withAnswer, 'with-held');
  if (starved !== null) return { kind: 'budget-held', dimension: starved, ...(await countHeld(tx, call, balance)) };
  return refusedAbove(till, call, worst, total);
}

function refusedAbove({ chains, counters }: Till, call: Asked, worst: Amount, total: RunTotal): Opened | null {
  const chain = chains.get(keyOf(call));
  for (const counter of countersOf(chain, counters)) {
    for (const because of ['spent', 'held'] as const) {
      const dimension = refusedBy(counter, worst, because === 'spent' ? 'without-held' : 'with-held');
      if (dimension === null) continue;
      const { tenant, kind, id, period, capPico, capTokens } = counter;
      const account = { tenant, kind, id, period, capPico, capTokens };
      return { kind: 'account-refused', because, dimension, account, waits: chain?.waits ?? true, total };
    }
  }
  return null;
}

const NOTHING_USED = { spentPico: 0n, spentTokens: 0n, heldPico: 0n, heldTokens: 0n };

function leftOf({ capPico, capTokens, spentPico, spentTokens }: Balance) {
  return {
    pico: capPico === null ? null : capPico - spentPico,
    tokens: capTokens === null ? null : capTokens - spentTokens,
  };
}

function worstOf({ worstPico, worstTokens }: Reservation): Amount {
  return { pico: worstPico, tokens: BigInt(worstTokens) };
}

function accountKeyOf({ tenant, kind, id }: AccountKey): string {
  return `${kind} ${tenant} ${id}`;
}

function countersOf(chain: Chain | undefined, counters: ReadonlyMap<string, LockedCounter>): readonly LockedCounter[] {
  return (chain?.accounts ?? []).flatMap((account) => counters.get(accountKeyOf(account)) ?? []);
}

/** Takes a call's worst case from the accounts as the batch sees them. */
function take(till: Till, call: Asked): void {
  const { pico, tokens } = worstOf(call.reservation);
  const move = { spentPico: 0n, spentTokens: 0n, heldPico: pico, heldTokens: tokens };
  const balance = till.runs.get(keyOf(call));
  if (balance !== undefined) till.runs.set(keyOf(call), moved(balance, move));
  for (const counter of countersOf(till.chains.get(keyOf(call)), till.counters)) {
    till.counters.set(accountKeyOf(counter), moved(counter, move));
  }
}

/** Locks the counters above the runs of a batch: all of them, and nothing after them. */
async function lockUppers(
  tx: Db,
  calls: readonly Asked[],
  chains: ReadonlyMap<string, Chain>,
): Promise<Map<string, LockedCounter>> {
  const accounts = new Map<string, AccountKey>();
  for (const call of calls) {
    for (const account of chains.get(keyOf(call))?.accounts ?? []) accounts.set(accountKeyOf(account), account);
  }
  if (accounts.size === 0) return new Map();
  const counted = await readCounted(tx, [...accounts.values()]);
  const missing = counted.filter(({ counter }) => counter === null);
  if (missing.length > 0) throw new CountersMissing(missing);
  const locked = await lockCounters(
    tx,
    counted.flatMap(({ counter }) => counter ?? []),
  );
  return new Map(locked.map((counter) => [accountKeyOf(counter), counter]));
}

/** Writes what was granted. The widest counter stands in the last statement, so that it is locked for as short as can be. */
async function write(tx: Db, till: Till, granted: readonly Granted[]): Promise<void> {
  if (granted.length === 0) return;
  const rows = granted.map((call) => {
    const counters = countersOf(till.chains.get(keyOf(call)), till.counters).map(({ counter }) => counter);
    return { call, counters };
  });
  await tx
    .insertInto('budget_reservations')
    .values(
      rows.map(({ call: { tenant, reservation, runId, turn, summaryKey }, counters }) => ({
        tenant,
        id: reservation.id,
        run_id: runId,
        turn,
        summary_key: summaryKey,
        state: 'reserved' as const,
        worst_pico: reservation.worstPico,
        worst_tokens: reservation.worstTokens,
        counters,
      })),
    )
    .execute();
  const held = rows.map(({ call: { tenant, runId, reservation }, counters }) => {
    const { pico: heldPico, tokens: heldTokens } = worstOf(reservation);
    return { tenant, runId, counters, spentPico: 0n, spentTokens: 0n, heldPico, heldTokens };
  });
  await moveRuns(tx, held);
  await openObservations(
    tx,
    granted.map(({ tenant, observation, reservation: { id }, open: { openedAt } }) => ({
      tenant,
      observation: { ...observation, reservation: id },
      openedAt,
    })),
  );
  await moveCounters(
    tx,
    held.flatMap(({ counters, ...move }) => counters.map((counter) => ({ ...move, counter }))),
  );
}

/** What an earlier attempt has paid for. */
type Kept =
  { readonly kind: 'replied'; readonly reply: StoredReply } | { readonly kind: 'summarised'; readonly ref: string };

/** Finds for each call what an earlier attempt has paid for: the reply of its turn, or the summary of its key. */
async function findKept(tx: Db, calls: readonly Asked[]): Promise<readonly (Kept | undefined)[]> {
  const turns = calls.filter(({ summaryKey }) => summaryKey === null);
  const replies = await findReplies(tx, turns);
  const summaries = await findSummaries(
    tx,
    calls.flatMap(({ tenant, runId, summaryKey: key }) => (key === null ? [] : [{ tenant, runId, key }])),
  );
  return calls.map((call): Kept | undefined => {
    if (call.summaryKey === null) {
      const reply = replies.get(placeOf(call));
      return reply === undefined ? undefined : { kind: 'replied', reply };
    }
    const ref = summaries.get(`${keyOf(call)} ${call.summaryKey}`);
    return ref === undefined ? undefined : { kind: 'summarised', ref };
  });
}

type Turn = { readonly tenant: string; readonly runId: string; readonly turn: number };

/** Names a call among those of a batch, as `countCalls` and `findReplies` do. */
function placeOf({ tenant, runId, turn, summaryKey }: Turn & { readonly summaryKey?: string | null }): string {
  return `${tenant} ${runId} ${turn} ${summaryKey ?? ''}`;
}

/** Finds the replies that are kept of these turns, by the name that `turnKeyOf` gives. */
export async function findReplies(tx: Db, turns: readonly Turn[]): Promise<ReadonlyMap<string, StoredReply>> {
  if (turns.length === 0) return new Map();
  const { rows } = await sql<Turn & { result: StoredReply }>`
    select m.tenant, m.run_id as "runId", m.turn, m.result from perdure.model_replies m
     where (m.tenant, m.run_id, m.turn) in (select * from ${unnestTurns(turns)})`.execute(tx);
  return new Map(rows.map((row) => [turnKeyOf(row), row.result]));
}

/** Names a turn among those of a batch. */
export function turnKeyOf(turn: Turn): string {
  return placeOf({ ...turn, summaryKey: null });
}

/** Finds the summaries that are kept under these keys, by tenant, run and key. */
export async function findSummaries(
  tx: Db,
  asked: readonly { readonly tenant: string; readonly runId: string; readonly key: string }[],
): Promise<ReadonlyMap<string, string>> {
  if (asked.length === 0) return new Map();
  const { rows } = await sql<{ tenant: string; runId: string; key: string; ref: string }>`
    select s.tenant, s.run_id as "runId", s.key, s.ref from perdure.summaries s
     where (s.tenant, s.run_id, s.key) in (select * from unnest(
       ${asked.map(({ tenant }) => tenant)}::text[], ${asked.map(({ runId }) => runId)}::text[],
       ${asked.map(({ key }) => key)}::text[]))`.execute(tx);
  return new Map(rows.map((row) => [`${keyOf(row)} ${row.key}`, row.ref]));
}

/** What an earlier attempt of the turn reserved stays held: that attempt may still answer, and nobody knows. */
async function holdEarlier(tx: Db, turns: readonly Turn[]): Promise<void> {
  if (turns.length === 0) return;
  await sql`
    update perdure.budget_reservations set state = 'held'
     where state = 'reserved' and (tenant, run_id, turn) in (select * from ${unnestTurns(turns)})`.execute(tx);
}

async function countCalls(tx: Db, calls: readonly Asked[]): Promise<ReadonlyMap<string, Calls>> {
  const counts = new Map<string, Calls>();
  if (calls.length === 0) return counts;
  // What a provider was asked about was paid, and no reply of it came: the model may answer the next call.
  const { rows } = await sql<Turn & { summaryKey: string | null; settled: string; held: string }>`
    select b.tenant, b.run_id as "runId", b.turn, b.summary_key as "summaryKey",
           count(*) filter (where b.state = 'settled' and b.closed_at is not null) as settled,
           count(*) filter (where b.state = 'held' or (b.state = 'settled' and b.closed_at is null)) as held
      from perdure.budget_reservations b
     where (b.tenant, b.run_id, b.turn) in (select * from ${unnestTurns(calls)})
     group by 1, 2, 3, 4`.execute(tx);
  for (const row of rows) counts.set(placeOf(row), { settled: Number(row.settled), held: Number(row.held) });
  return counts;
}

function unnestTurns(turns: readonly Turn[]) {
  return sql`unnest(${turns.map(({ tenant }) => tenant)}::text[], ${turns.map(({ runId }) => runId)}::text[],
                    ${turns.map(({ turn }) => turn)}::int[])`;
}
