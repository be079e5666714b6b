import { sql } from 'kysely';
import type { TakenCall } from '../domain/run/taken.ts';
import type { Db, EffectState } from './database.ts';

/**
 * What the rows know of a call: its result, or that its work was begun and the outcome is not known. `argsRef` is set where a person
 * changed the arguments; `approval` is the one under which it was begun.
 */
export type CallStanding =
  | { readonly kind: 'result'; readonly ref: string }
  /** Deferred work that was begun, whose result can come only to the run that has ended. */
  | { readonly kind: 'awaited' }
  | {
      readonly kind: 'begun';
      readonly key: string;
      readonly argsHash: string;
      readonly argsRef: string | null;
      readonly approval: { readonly id: string; readonly release: string } | null;
    };

type CallsOf = { readonly id: string; readonly root: string; readonly createdAt: Date };

type Approval = {
  readonly id: string;
  readonly call_index: number;
  readonly state: string;
  readonly release: string;
  readonly approved_hash: string | null;
  readonly approved_ref: string | null;
  readonly result_ref: string | null;
};

type Attempt = {
  readonly call_index: number;
  readonly args_hash: string;
  readonly outcome: string | null;
  readonly key: string;
  readonly state: EffectState;
  readonly ref: string | null;
  /** Whether the effect's row speaks of this call: another call with its business key may have it. */
  readonly is_own: boolean;
};

/**
 * Finds what is known of the calls of a run's last turn, by index. Only what is written with its outcome counts: an observation that was
 * closed as `ok`, a settled effect, a decided approval, the answer to a question. `answers` are in the order of the questions.
 */
export async function readCallStandings(
  db: Db,
  tenant: string,
  run: CallsOf,
  turn: number,
  calls: readonly TakenCall[],
  answers: readonly (string | null)[],
): Promise<ReadonlyMap<number, CallStanding>> {
  const standings = new Map<number, CallStanding>();
  if (calls.length === 0) return standings;
  const reads = await readReads(db, tenant, run, turn);
  const approvals = await readApprovals(db, tenant, run, turn, calls);
  const attempts = await readAttempts(db, tenant, run, turn);
  const deferred = await readDeferred(db, tenant, run, turn);
  const questions = calls.filter(({ verdict }) => verdict.kind === 'ask');
  for (const call of calls) {
    const { index, verdict } = call;
    const own = approvals.filter(({ id, call_index: at }) => at === index || id === call.approval);
    const ref =
      (verdict.kind === 'answered' ? verdict.ref : null) ??
      (verdict.kind === 'ask' ? answers[questions.indexOf(call)] : null) ??
      own.find(({ result_ref: result }) => result !== null)?.result_ref ??
      reads.get(index);
    const noted =
      ref === undefined || ref === null ? effectOf(call, own, attempts) : ({ kind: 'result', ref } as const);
    const row = deferred.get(index);
    const isBegun = reads.has(index) || attempts.some((each) => isOwnSuccess(each, call));
    const standing = row === 'opened' ? (isBegun ? AWAITED : noted) : (row ?? noted);
    if (standing !== null) standings.set(index, standing);
  }
  return standings;
}

const AWAITED = { kind: 'awaited' } as const;

/** A deferred tool that returned has begun its work, also where the worker died before the call's row said so. */
function isOwnSuccess({ call_index: at, is_own: isOwn, state }: Attempt, { index }: TakenCall): boolean {
  return at === index && isOwn && state === 'succeeded';
}

/** Says how the write of a call stands; null when it was not begun, or when it is certain that nothing was sent. */
function effectOf(
  { index, argsHash }: TakenCall,
  approvals: readonly Approval[],
  attempts: readonly Attempt[],
): CallStanding | null {
  // A person may have changed the arguments; what another reply of the same turn asked for is not this call's.
  const hashes = [argsHash, ...approvals.map(({ approved_hash: hash }) => hash)];
  const own = attempts.filter(({ call_index: at, args_hash: hash }) => at === index && hashes.includes(hash));
  const last = own.at(-1);
  if (last === undefined) return null;
  if (last.state === 'succeeded' || last.state === 'failed') {
    return last.is_own && last.ref !== null ? { kind: 'result', ref: last.ref } : null;
  }
  const isNeverSent = own.every(({ outcome }) => outcome === 'not-sent' || outcome === 'never');
  if (last.state === 'intended' && isNeverSent) return null;
  const approval = approvals.find(({ state, approved_hash: hash }) => state === 'approved' && hash === last.args_hash);
  return {
    kind: 'begun',
    key: last.key,
    argsHash: last.args_hash,
    argsRef: last.args_hash === argsHash ? null : (approval?.approved_ref ?? null),
    approval: approval === undefined ? null : { id: approval.id, release: approval.release },
  };
}

async function readReads(db: Db, tenant: string, run: CallsOf, turn: number): Promise<ReadonlyMap<number, string>> {
  // The run's age bounds the weekly partitions that are read; a minute covers clocks that differ.
  const { rows } = await sql<{ call_index: number; ref: string }>`
    select call_index, ref from perdure.observations
     where tenant = ${tenant} and run_id = ${run.id} and turn = ${turn} and kind = 'tool' and outcome = 'ok'
       and ref is not null and opened_at >= ${run.createdAt}::timestamptz - interval '1 minute'
     order by closed_at`.execute(db);
  return new Map(rows.map(({ call_index: index, ref }) => [index, ref]));
}

/**
 * A deferred call's own row speaks for it once the work was begun: its effect and its observation know only that. `opened` is one whose tool
 * has its token; it may never have been asked, or have refused.
 */
async function readDeferred(
  db: Db,
  tenant: string,
  run: CallsOf,
  turn: number,
): Promise<ReadonlyMap<number, CallStanding | 'opened'>> {
  const rows = await db
    .selectFrom('deferred_calls')
    .select(['call_index', 'note_ref', 'result_ref'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', run.id)
    .where('turn', '=', turn)
    .execute();
  return new Map(
    rows.map(({ call_index: index, note_ref: note, result_ref: ref }): [number, CallStanding | 'opened'] => {
      if (ref !== null) return [index, { kind: 'result', ref }];
      return [index, note === null ? 'opened' : AWAITED];
    }),
  );
}

async function readApprovals(
  db: Db,
  tenant: string,
  run: CallsOf,
  turn: number,
  calls: readonly TakenCall[],
): Promise<readonly Approval[]> {
  const carried = calls.flatMap(({ approval }) => approval ?? []);
  return db
    .selectFrom('approvals')
    .select(['id', 'call_index', 'state', 'release', 'approved_hash', 'approved_ref', 'result_ref'])
    .where('tenant', '=', tenant)
    .where((eb) =>
      eb.or([
        eb.and([eb('run_id', '=', run.id), eb('turn', '=', turn)]),
        ...(carried.length === 0 ? [] : [eb('id', 'in', carried)]),
      ]),
    )
    .execute();
}

/** The effects of a lineage: a successor of the same run may have made the very call. */
async function readAttempts(db: Db, tenant: string, run: CallsOf, turn: number): Promise<readonly Attempt[]> {
  const { rows } = await sql<Attempt>`
    select a.call_index, a.args_hash, a.outcome, e.key, e.state, e.ref,
           (e.root = a.root and e.turn = a.turn and e.call_index = a.call_index) as is_own
      from perdure.effect_attempts a join perdure.effects e on e.tenant = a.tenant and e.key = a.key
     where a.tenant = ${tenant} and a.root = ${run.root} and a.turn = ${turn}
     order by a.opened_at, a.attempt`.execute(db);
  return rows;
}
