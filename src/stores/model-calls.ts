import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import type { RunTotal } from '../domain/run/results.ts';
import type { Charge } from './budget-account.ts';
import type { createChains } from './budget-chain.ts';
import { CountersMissing, ensureCounters } from './budget-counters.ts';
import type { KeptSummary, ModelAttempt, Reservation, Reserved, SummaryReserved } from './call-types.ts';
import type { OnBudgetWarned } from './charge-calls.ts';
import type { Db, StoredReply } from './database.ts';
import { groupCommit } from './group-commit.ts';
import type { ClosedObservation, NewObservation, OnAttemptClosed } from './observations.ts';
import { giveBack } from './give-back.ts';
import { type NewCall, openCalls, type OpenedBatch, type Opening } from './open-calls.ts';
import { type OverCall, settleCalls, type Settled } from './settle-calls.ts';
import { noteUncalled } from './uncalled-attempts.ts';

export type { KeptSummary, ModelAttempt, Reservation, Reserved, SummaryReserved } from './call-types.ts';

type Chains = ReturnType<typeof createChains>;

/** Who hears of what was committed, and where tests break in. */
export type ModelCallsOptions = {
  readonly failpoint?: Failpoint;
  readonly onClosed?: OnAttemptClosed;
  readonly onWarned?: OnBudgetWarned;
};

/**
 * Transactions under way at once, of a process and for each of the two kinds: one that prepares while the other commits. More would only make the batches
 * smaller, and commits are what the widest account has few of.
 */
const BATCHES_MAX = 2;

/** Calls of one transaction: each is some milliseconds of work, and all of them wait for the last. */
const CALLS_PER_BATCH_MAX = 32;

/** Tries of a transaction that met a new period. The counter is there after the first; a period may end meanwhile. */
const PERIOD_TRIES = 3;

/**
 * Keeps the money and the replies of model calls. An attempt reserves its worst case on its run's account and every account above before it calls, and settles
 * what it really cost after; a reservation whose attempt died stays held, because nobody knows whether the provider charged it. So spent
 * plus held never exceeds a cap.
 */
export function createModelCalls(
  db: Db,
  chains: Chains,
  { failpoint = noFailpoint, onClosed = () => undefined, onWarned = () => undefined }: ModelCallsOptions = {},
) {
  const lane = { batchesMax: BATCHES_MAX, itemsMax: CALLS_PER_BATCH_MAX, isUndone };
  const open = groupCommit<NewCall, Opening>(
    async (calls) => {
      const { openings, warnings } = await openBatch(db, chains, calls);
      for (const warning of warnings) onWarned(warning);
      return openings;
    },
    { ...lane, keyOf: ({ tenant, observation: { runId, turn } }) => `${tenant} ${runId} ${turn}` },
  );
  const settle = groupCommit<OverCall, Settled | Error>(
    async (calls) => {
      const { settled, warnings } = await db.transaction().execute(async (tx) => settleCalls(tx, failpoint, calls));
      for (const warning of warnings) onWarned(warning);
      return settled;
    },
    { ...lane, keyOf: ({ attempt: { reservationId } }) => reservationId },
  );

  async function settleOne(call: OverCall): Promise<Settled> {
    const settled = thrown(await settle(call));
    const { chargedPico, overPico } = settled;
    onClosed({ ...call.attempt.observation, ...call.closed, chargedPico, overPico });
    return settled;
  }

  return {
    /** Opens an attempt: gives a reply that was kept, refuses what an account cannot bear, or reserves the worst case. */
    async reserve(tenant: string, reservation: Reservation, observation: NewObservation): Promise<Reserved> {
      const { came, total } = await opened(db, onWarned, { tenant, reservation, observation }, open);
      if (came.kind === 'summarised') throw new Error('a reply was asked for, not a summary');
      const reserved: Reserved = came.kind === 'replied' ? { ...came, total } : came;
      return noted(db, tenant, reservation, observation, reserved);
    },
    /** Closes an attempt, and gives the reply that counts with the run's total. */
    async settle(
      tenant: string,
      attempt: ModelAttempt,
      charge: Charge,
      closed: ClosedObservation,
      kept: StoredReply | null,
    ): Promise<{ readonly reply: StoredReply | null; readonly total: RunTotal }> {
      const { reply, total } = await settleOne({ tenant, attempt, charge, closed, reply: kept, summary: null });
      return { reply, total };
    },
    /** The same for a call that summarises: its result is kept by what it was asked, not by its turn. */
    async reserveSummary(
      tenant: string,
      reservation: Reservation & { readonly summaryKey: string },
      observation: NewObservation,
    ): Promise<SummaryReserved> {
      const { came, total } = await opened(db, onWarned, { tenant, reservation, observation }, open);
      if (came.kind === 'replied') throw new Error('a summary was asked for, not a reply');
      return noted(db, tenant, reservation, observation, { ...came, total });
    },
    /** Closes a call that summarises, and gives the summary that counts. */
    async settleSummary(
      tenant: string,
      attempt: ModelAttempt,
      charge: Charge,
      closed: ClosedObservation,
      summary: KeptSummary,
    ): Promise<{ readonly ref: string; readonly total: RunTotal }> {
      const { ref, total } = await settleOne({ tenant, attempt, charge, closed, reply: null, summary });
      return { ref: ref ?? summary.ref, total };
    },
  };
}

/** Opens a call. Where nobody heard whether it was reserved, its call is not made, and nobody else would give the money back. */
async function opened(
  db: Db,
  onWarned: OnBudgetWarned,
  call: NewCall,
  open: (call: NewCall) => Promise<Opening>,
): Promise<Exclude<Opening, Error>> {
  try {
    return thrown(await open(call));
  } catch (error) {
    if (!isUndone(error)) void giveBack(db, call).then((warnings) => warnings.forEach(onWarned));
    throw error;
  }
}

async function openBatch(db: Db, chains: Chains, calls: readonly NewCall[]): Promise<OpenedBatch> {
  const keys = calls.map(({ tenant, observation: { runId } }) => ({ tenant, runId }));
  const known = await chains.of(keys);
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction().execute(async (tx) => openCalls(tx, calls, known));
    } catch (error) {
      if (!(error instanceof CountersMissing) || tries === PERIOD_TRIES) throw error;
      await ensureCounters(db, error.accounts);
    }
  }
}

/** Writes down an attempt that calls nobody, so that it stands on the receipt of its run. */
async function noted<Came extends Reserved | SummaryReserved>(
  db: Db,
  tenant: string,
  { isQuiet = false }: Reservation,
  observation: NewObservation,
  came: Came,
): Promise<Came> {
  // What closes is followed by the last call, which stands there itself.
  if (came.kind === 'reserved' || came.kind === 'closing') return came;
  if (isQuiet && came.kind === 'account-refused') return came;
  await noteUncalled(db, tenant, observation, came);
  return came;
}

function thrown<Result>(result: Result): Exclude<Result, Error> {
  if (result instanceof Error) throw result;
  return result as Exclude<Result, Error>;
}

/**
 * PostgreSQL says so itself where it rolled a transaction back. Of one whose connection broke nobody knows; its calls are not made, and what
 * it may have reserved is given back.
 */
function isUndone(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?:2[0-9A-Z]|4[0-4]|5[345])[0-9A-Z]{3}$/.test(code);
}
