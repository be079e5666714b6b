import type { UsageDetails } from '../model/usage.ts';

/** What became of the money that an attempt reserved. `reserved`: it is at work, or nobody has looked since its process died. */
export type ReservationState = 'settled' | 'held' | 'reserved' | 'released';

/** The order in which a receipt sums them up. */
const STATES: readonly ReservationState[] = ['settled', 'held', 'reserved', 'released'];

/** A reservation as its row has it. Money is pico-dollars as a decimal string. */
export type ReceiptReservation = {
  readonly id: string;
  readonly state: ReservationState;
  readonly worstPico: string;
  readonly worstTokens: number;
  /** Null until it is known. */
  readonly actualPico: string | null;
  readonly actualTokens: number | null;
};

/** One attempt at a model or tool call, with what it used and what became of its reservation. */
export type ReceiptAttempt = {
  readonly id: string;
  readonly turn: number;
  readonly callIndex: number | null;
  /** `model` or `tool`; `unrecorded` where only the reservation is left. */
  readonly kind: string;
  /** Model id, or tool name and major version. */
  readonly name: string;
  /** Counted over all attempts at this call, from 1. */
  readonly attempt: number;
  readonly worker: string | null;
  readonly openedAt: Date;
  readonly outcome: string;
  readonly cause: string | null;
  readonly message: string | null;
  readonly inputTokens: number | null;
  readonly cacheReadTokens: number | null;
  readonly cacheWriteTokens: number | null;
  readonly outputTokens: number | null;
  readonly reasoningTokens: number | null;
  /** Kinds of tokens with a price of their own that few models have; absent where there are none. */
  readonly usageDetails?: UsageDetails;
  /** What the attempt itself wrote down. */
  readonly costPico: string | null;
  readonly priceVersion: string | null;
  readonly isCostSimulated: boolean;
  /** Null for what reserves nothing: tools, replies that were kept, calls that the budget refused. */
  readonly reservation: ReceiptReservation | null;
};

/** The budget account of a run. */
export type ReceiptAccount = {
  readonly capPico: string;
  readonly spentPico: string;
  readonly spentTokens: number;
  readonly heldPico: string;
  readonly heldTokens: number;
};

/** The rows that must agree. */
export type ReceiptRows = {
  readonly runId: string;
  /** What the run's end says that it had cost by then; null while it goes on. */
  readonly endCostPico: string | null;
  readonly account: ReceiptAccount | null;
  readonly attempts: readonly ReceiptAttempt[];
};

/** Attempts whose reservation is in one state: what they cost, or at most can have cost. */
export type StateSum = {
  readonly state: ReservationState;
  readonly attempts: number;
  readonly tokens: number;
  readonly pico: string;
};

/** A row that does not agree with the others. */
export type Difference = { readonly row: string; readonly problem: string };

export type ReceiptSums = {
  readonly states: readonly StateSum[];
  /** Settled after the run had ended, by replies that came too late. */
  readonly afterEndPico: string;
  /** Empty when it adds up. */
  readonly differences: readonly Difference[];
};

/** Adds up the attempts of a run by the state of their reservations, and holds the sums against its budget account and its end. */
export function addUp(rows: ReceiptRows): ReceiptSums {
  const states = STATES.map((state) => sumOf(state, rows.attempts));
  const spent = rows.account?.spentPico ?? '0';
  const end = BigInt(rows.endCostPico ?? spent);
  return {
    states,
    afterEndPico: String(BigInt(spent) - end),
    differences: [
      ...rows.attempts.flatMap(differencesOf),
      ...accountDifferences(rows, states),
      ...(end > BigInt(spent)
        ? [{ row: `end of run ${rows.runId}`, problem: `it says ${end} pico-dollars, the account has spent ${spent}` }]
        : []),
    ],
  };
}

function sumOf(state: ReservationState, attempts: readonly ReceiptAttempt[]): StateSum {
  const own = attempts.flatMap(({ reservation }) => (reservation?.state === state ? [reservation] : []));
  return {
    state,
    attempts: own.length,
    tokens: own.reduce((sum, each) => sum + chargeOf(each).tokens, 0),
    pico: String(own.reduce((sum, each) => sum + BigInt(chargeOf(each).pico), 0n)),
  };
}

/** A reservation counts with what it cost once that is known, and until then with the most that it can cost. */
function chargeOf(reservation: ReceiptReservation): { readonly pico: string; readonly tokens: number } {
  const { state, worstPico, worstTokens, actualPico, actualTokens } = reservation;
  return state === 'held' || state === 'reserved'
    ? { pico: worstPico, tokens: worstTokens }
    : { pico: actualPico ?? '0', tokens: actualTokens ?? 0 };
}

function differencesOf(attempt: ReceiptAttempt): readonly Difference[] {
  const { turn, name, kind, costPico, inputTokens, outputTokens, reservation } = attempt;
  const row = `turn ${turn}, ${name || kind}, attempt ${attempt.attempt} (${attempt.id})`;
  const problems: string[] = [];
  if (kind === 'unrecorded') problems.push('its reservation has no attempt');
  const actual = reservation === null || reservation.actualPico === null ? null : reservation.actualPico;
  if (reservation?.state === 'settled' && actual === null) problems.push('it is settled without an amount');
  if (reservation?.state === 'released' && (actual ?? '0') !== '0') {
    problems.push(`it was released, and its reservation says ${actual} pico-dollars`);
  }
  if (costPico !== null && BigInt(costPico) !== BigInt(actual ?? '0')) {
    const other = reservation === null ? 'it has no reservation' : `its reservation says ${actual ?? 'nothing'}`;
    problems.push(`the attempt says ${costPico} pico-dollars, ${other}`);
  }
  const tokens = inputTokens === null || outputTokens === null ? null : inputTokens + outputTokens;
  if (tokens !== null && reservation !== null && tokens !== (reservation.actualTokens ?? 0)) {
    problems.push(`the attempt says ${tokens} tokens, its reservation ${reservation.actualTokens ?? 'nothing'}`);
  }
  return problems.map((problem) => ({ row, problem }));
}

function accountDifferences({ runId, account }: ReceiptRows, states: readonly StateSum[]): readonly Difference[] {
  const row = `budget account of run ${runId}`;
  if (account === null) return [{ row, problem: 'there is none' }];
  const sum = (...wanted: readonly ReservationState[]): StateSum[] =>
    states.filter(({ state }) => wanted.includes(state));
  const pico = (sums: readonly StateSum[]): bigint => sums.reduce((total, each) => total + BigInt(each.pico), 0n);
  const tokens = (sums: readonly StateSum[]): number => sums.reduce((total, each) => total + each.tokens, 0);
  const [settled, held] = [sum('settled'), sum('held', 'reserved')];
  const compared: readonly (readonly [string, bigint | number, string, bigint | number])[] = [
    ['spent, in pico-dollars', BigInt(account.spentPico), 'settled', pico(settled)],
    ['spent, in tokens', account.spentTokens, 'settled', tokens(settled)],
    ['held, in pico-dollars', BigInt(account.heldPico), 'held and reserved', pico(held)],
    ['held, in tokens', account.heldTokens, 'held and reserved', tokens(held)],
  ];
  return compared.flatMap(([what, own, which, added]) =>
    own === added ? [] : [{ row, problem: `${what}, it says ${own}; the ${which} attempts come to ${added}` }],
  );
}
