import type { RouteTaken } from '../domain/model/model-policy.ts';
import { type Usage, usageDetails } from '../domain/model/usage.ts';
import type { Cause } from '../domain/run/cause.ts';
import type { Db } from './database.ts';

export type NewObservation = {
  /** Unique per attempt. */
  readonly id: string;
  readonly runId: string;
  readonly turn: number;
  readonly callIndex: number | null;
  /** Name of the run's agent; told to whoever counts, not written. */
  readonly agent: string;
  readonly kind: 'model' | 'tool' | 'compact';
  /** Model id or tool name and major version. */
  readonly name: string;
  readonly release: string;
  readonly attempt: number;
  readonly worker: string;
  readonly reservation?: string;
  /** Which tier of the release a model call is for, and which model it stands in for, where it does. */
  readonly route?: RouteTaken;
};

export type ClosedObservation = {
  readonly outcome: string;
  readonly cause?: Cause;
  readonly message?: string;
  readonly ref?: string;
  readonly model?: string;
  readonly usage?: Usage;
  readonly costPico?: bigint;
  readonly priceVersion?: string;
  readonly isCostSimulated?: boolean;
};

/** Key of an open observation: the partition is found by its time. */
export type OpenObservation = Pick<NewObservation, 'id' | 'agent' | 'kind' | 'name'> & { readonly openedAt: Date };

/** An attempt whose observation was closed, for whoever counts. */
export type ClosedAttempt = OpenObservation &
  ClosedObservation & {
    /** What was charged for it just now, in pico-dollars. */
    readonly chargedPico: bigint;
    /** How much of that is above what was reserved. */
    readonly overPico: bigint;
  };

/** Hears of each attempt once its close is committed. */
export type OnAttemptClosed = (attempt: ClosedAttempt) => void;

/** Closes observations, and tells of it. */
export function createObservations(db: Db, onClosed: OnAttemptClosed) {
  return {
    close: async (open: OpenObservation, closed: ClosedObservation): Promise<void> => {
      await closeObservation(db, open, closed);
      onClosed({ ...open, ...closed, chargedPico: 0n, overPico: 0n });
    },
  };
}

/** Opens the observation of an attempt. One that is never closed belongs to a killed attempt and is shown as such. */
export async function openObservation(db: Db, tenant: string, observation: NewObservation): Promise<OpenObservation> {
  const open = toOpen(observation);
  await openObservations(db, [{ tenant, observation, openedAt: open.openedAt }]);
  return open;
}

/** Names an observation that is being opened now. */
export function toOpen({ id, agent, kind, name }: NewObservation): OpenObservation {
  return { id, agent, kind, name, openedAt: new Date() };
}

/** Writes observations that are open. */
export async function openObservations(
  db: Db,
  opened: readonly { readonly tenant: string; readonly observation: NewObservation; readonly openedAt: Date }[],
): Promise<void> {
  await db
    .insertInto('observations')
    .values(
      opened.map(({ tenant, observation, openedAt }) => ({
        id: observation.id,
        tenant,
        run_id: observation.runId,
        turn: observation.turn,
        call_index: observation.callIndex,
        kind: observation.kind,
        name: observation.name,
        release: observation.release,
        attempt: observation.attempt,
        worker: observation.worker,
        reservation: observation.reservation ?? null,
        tier: observation.route?.tier ?? null,
        fallback: fallbackOf(observation.route),
        opened_at: openedAt,
      })),
    )
    .execute();
}

/** Writes why another model was asked, and in place of which, as `authentication openai:gpt-5`. */
function fallbackOf(route: RouteTaken | undefined): string | null {
  const { fallback } = route ?? {};
  return fallback === undefined ? null : `${fallback.why} ${fallback.from}`;
}

/**
 * Closes the observation of an attempt with what became of it.
 *
 * @param isPriced Its usage and cost stand there already, by the word of its provider or of a person.
 */
export async function closeObservation(
  db: Db,
  open: OpenObservation,
  closed: ClosedObservation,
  { isPriced = false }: { readonly isPriced?: boolean } = {},
): Promise<void> {
  await db
    .updateTable('observations')
    .set({
      outcome: closed.outcome,
      cause: closed.cause ?? null,
      message: storable(closed.message),
      ref: closed.ref ?? null,
      model: storable(closed.model),
      ...(isPriced ? {} : priceColumns(closed)),
      closed_at: new Date(),
    })
    .where('opened_at', '=', open.openedAt)
    .where('id', '=', open.id)
    .execute();
}

function priceColumns({ usage, costPico, priceVersion, isCostSimulated }: ClosedObservation) {
  return {
    input_tokens: usage?.inputTokens ?? null,
    output_tokens: usage?.outputTokens ?? null,
    cache_read_tokens: usage?.cacheReadTokens ?? null,
    cache_write_tokens: usage?.cacheWriteTokens ?? null,
    reasoning_tokens: usage?.reasoningTokens ?? null,
    usage_details: detailsColumn(usage),
    cost_pico: costPico ?? null,
    price_version: priceVersion ?? null,
    is_cost_simulated: isCostSimulated ?? null,
  };
}

/** Writes the kinds of tokens that few models have; null where there are none. */
export function detailsColumn(usage: Usage | undefined): string | null {
  const details = usage === undefined ? null : usageDetails(usage);
  return details === null ? null : JSON.stringify(details);
}

/** What others said is kept whatever it holds: PostgreSQL takes no U+0000 and no lone surrogate, and people read it as one line. */
function storable(text: string | undefined): string | null {
  return text?.replaceAll(/\p{Cc}/gu, ' ').toWellFormed() ?? null;
}
