import { sql } from 'kysely';
import type { RunLimits } from '../domain/release/release.ts';
import type { Answer, RunEnd } from '../domain/run/run-end.ts';
import { NOTHING_TAKEN, type Taken, type TakenCall } from '../domain/run/taken.ts';
import { type CallStanding, readCallStandings } from './call-standings.ts';
import type { Db, StoredReply } from './database.ts';
import { countEnds } from './end-counts.ts';
import type { Transcripts } from './transcripts.ts';

/** A run whose row may be taken up. */
export type EndedRun = {
  readonly id: string;
  readonly agent: string;
  readonly kind: string;
  readonly release: string;
  readonly scope: string;
  readonly root: string;
  readonly limits: RunLimits;
  /** Null while the run lives. */
  readonly end: RunEnd | null;
  readonly head: string | null;
  readonly createdAt: Date;
  readonly retryOf: string | null;
  /** What it took over itself; nothing where it takes up no other run. */
  readonly taken: Taken;
};

/** Where a run stopped: as `Taken`, and of the last turn's calls what is known of each. */
export type Stop = Omit<Taken, 'calls' | 'inputs'> & {
  /** Null where an older version did not note where a message was written. */
  readonly inputs: readonly (string | null)[];
  /** Whether that turn was the run's last answer, given because its budget was used up. */
  readonly isClosed: boolean;
  readonly open: readonly { readonly call: TakenCall; readonly standing: CallStanding | null }[];
};

type Place = { readonly db: Db; readonly transcripts: Transcripts; readonly tenant: string };
type Reply = { readonly turn: number; readonly heard: number; readonly calls: number };
type Message = {
  readonly turn: number;
  readonly kind: string;
  readonly ref: string | null;
  readonly files: readonly string[];
  readonly isFirst: boolean;
};

/** Reads ended runs so that another one can go on from them. It only reads: an ended run stays as it was. */
export function createEndedRuns(db: Db, transcripts: Transcripts) {
  return {
    find: (tenant: string, id: string) => find(db, tenant, id),
    /** Reads where a run stopped: every kept reply counts, also one that the run no longer heard of. */
    stopOf: (tenant: string, run: EndedRun) => stopOf({ db, transcripts, tenant }, run),
    /** Reads what a run was about to ask its model at a turn that has a reply; null when the rows of that turn are gone. */
    before: (tenant: string, run: EndedRun, turn: number) => before({ db, transcripts, tenant }, run, turn),
    countEnds: (tenant: string, release: string) => countEnds(db, tenant, release),
  };
}

async function find(db: Db, tenant: string, id: string): Promise<EndedRun | null> {
  const row = await db
    .selectFrom('runs')
    .select(['id', 'agent', 'kind', 'release', 'scope', 'root', 'plan', 'run_end', 'head', 'created_at'])
    .select(['retry_of', 'taken'])
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { plan, run_end: end, created_at: createdAt, retry_of: retryOf, taken, ...facts } = row;
  return { ...facts, limits: plan.limits, end, createdAt, retryOf, taken: taken ?? NOTHING_TAKEN };
}

async function stopOf(place: Place, run: EndedRun): Promise<Stop> {
  const [replies, messages] = [await readReplies(place, run), await readMessages(place, run)];
  const last = replies.at(-1);
  const kept = last === undefined ? null : await readReply(place, run, last.turn);
  const turn = last?.turn ?? run.taken.turn;
  const calls = kept?.calls.map((call, index): TakenCall => ({ ...call, index })) ?? run.taken.calls;
  const answers = messages.flatMap(({ turn: at, kind, ref }) => (at === turn && kind === 'answer' ? [ref] : []));
  const standings = await readCallStandings(place.db, place.tenant, run, turn, calls, answers);
  const open = calls.map((call) => ({ call, standing: standings.get(call.index) ?? null }));
  const isInputHeard =
    run.taken.isInputHeard || kept !== null || messages.some(({ isFirst, ref }) => isFirst && ref !== null);
  const inputs = unheard(run.taken, replies, isInputHeard ? messages : messages.filter(({ isFirst }) => !isFirst));
  return {
    // What is not a turn may have moved the head since the last reply.
    head: (run.end?.turns === turn ? run.head : null) ?? kept?.head ?? run.taken.head ?? run.head,
    turn,
    results: kept === null ? run.taken.results : [],
    inputs,
    open,
    isClosed: kept?.closedBy !== undefined,
    answer: await answerBefore(place, run, turn + 1),
    isAnswered: inputs.length === 0 && (kept === null ? run.taken.isAnswered : kept.answer !== undefined),
    isInputHeard,
  };
}

/** Finds what was said and is in no reply yet, as the run itself did turn by turn: each reply hears results first, then inputs. */
function unheard(taken: Taken, replies: readonly Reply[], messages: readonly Message[]): readonly (string | null)[] {
  const saidAt = new Map<number, (string | null)[]>();
  for (const { turn, kind, ref, files } of messages) {
    // An answer is among the results; what came with it is said beside it.
    const said = kind === 'input' || kind === 'guidance' ? [ref, ...files] : files;
    saidAt.set(turn, [...(saidAt.get(turn) ?? []), ...said]);
  }
  let inputs: readonly (string | null)[] = [...taken.inputs, ...(saidAt.get(taken.turn) ?? [])];
  let results = taken.results.length + taken.calls.length;
  for (const { turn, heard, calls } of replies) {
    inputs = [...inputs.slice(Math.max(0, heard - results)), ...(saidAt.get(turn) ?? [])];
    results = calls;
  }
  return inputs;
}

async function before(place: Place, run: EndedRun, turn: number): Promise<Taken | null> {
  const { transcripts, tenant, db } = place;
  if (turn <= run.taken.turn) {
    // That turn is the earlier run's.
    const earlier = run.retryOf === null ? null : await find(db, tenant, run.retryOf);
    return earlier === null ? null : before(place, earlier, turn);
  }
  const reply = await readReply(place, run, turn);
  if (reply === null) return null;
  const { head, delta: prompted } = await transcripts.promptOf(tenant, run.scope, reply.head, reply.heard);
  const delta = prompted.length === reply.heard ? prompted : await saidOf(place, run, prompted);
  const results =
    turn - 1 === run.taken.turn
      ? run.taken.results.length + run.taken.calls.length
      : ((await readReply(place, run, turn - 1))?.calls.length ?? 0);
  return {
    head,
    turn: turn - 1,
    results: delta.slice(0, results).map((ref, index) => ({ index, ref })),
    inputs: delta.slice(results),
    calls: [],
    answer: await answerBefore(place, run, turn),
    isAnswered: false,
    isInputHeard: true,
  };
}

/** Leaves out what was recalled, which the turn that is made anew recalls again, and that it was to be the last. */
async function saidOf({ transcripts, tenant }: Place, run: EndedRun, delta: readonly string[]) {
  const parts = await Promise.all(delta.map(async (ref) => transcripts.readPart(tenant, run.scope, ref)));
  return delta.filter((_, index) => {
    const part = parts[index];
    return part?.kind !== 'recalled' && !(part?.kind === 'guidance' && part.isClosing === true);
  });
}

/** Finds the newest whole answer before a turn. */
async function answerBefore({ db, tenant }: Place, run: EndedRun, turn: number): Promise<Answer | null> {
  const row = await db
    .selectFrom('model_replies')
    .select('result')
    .where('tenant', '=', tenant)
    .where('run_id', '=', run.id)
    .where('turn', '<', turn)
    .where('answer', 'is not', null)
    .orderBy('turn', 'desc')
    .executeTakeFirst();
  return row?.result.answer ?? run.taken.answer;
}

async function readReply({ db, tenant }: Place, run: EndedRun, turn: number): Promise<StoredReply | null> {
  const row = await db
    .selectFrom('model_replies')
    .select('result')
    .where('tenant', '=', tenant)
    .where('run_id', '=', run.id)
    .where('turn', '=', turn)
    .executeTakeFirst();
  return row?.result ?? null;
}

async function readReplies({ db, tenant }: Place, run: EndedRun): Promise<readonly Reply[]> {
  const { rows } = await sql<Reply>`
    select turn, (result ->> 'heard')::int as heard, json_array_length(result -> 'calls') as calls
      from perdure.model_replies where tenant = ${tenant} and run_id = ${run.id} order by turn`.execute(db);
  return rows;
}

async function readMessages({ db, tenant }: Place, run: EndedRun): Promise<readonly Message[]> {
  const rows = await db
    .selectFrom('run_messages')
    .select(['turn', 'kind', 'ref', 'files'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', run.id)
    .orderBy('created_at')
    .execute();
  // Whatever its key is, what a run was started with is the first that is said to it.
  const first = rows.find(({ kind }) => kind === 'input');
  return rows.map((row) => ({ ...row, files: row.files ?? [], isFirst: row === first }));
}
