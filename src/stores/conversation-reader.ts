import { sql } from 'kysely';
import type { JsonValue } from '../domain/json.ts';
import { messageHash } from '../domain/run/messages.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { ConversationRecord, MessageRecord } from '../domain/schemas/run-records.ts';
import type { Db, StoredReply } from './database.ts';
import type { Transcripts } from './transcripts.ts';

/** A run of a line: `part` is the run asked for that it is, or has taken up. */
type LineRun = { readonly part: string; readonly id: string; readonly run_end: RunEnd | null };

type Message = {
  readonly run_id: string;
  readonly turn: number;
  readonly kind: string;
  readonly ref: string | null;
};

/** How a run stands, as far as a reply depends on it. */
type Standing = {
  readonly scope: string;
  readonly phase: string;
  readonly turns: number;
  readonly run_end: RunEnd | null;
  readonly revisions_max: number | null;
};

type Reply = { readonly turn: number; readonly answer: string | null; readonly result: StoredReply };
type Claim = { readonly turn: number; readonly kind: string; readonly id_hash: string };
type Heard = {
  readonly tenant: string;
  readonly runId: string;
  readonly run: Standing;
  readonly replies: readonly Reply[];
  readonly claims: readonly Claim[];
};

/** Turns after a message in which its reply is looked for: an agent that works longer on one message ends by its limits. */
const TURNS_READ_MAX = 1_000;

/** Reads which of some runs there are, and what became of the message of a key in them. */
export async function readConversation(
  db: Db,
  transcripts: Transcripts,
  tenant: string,
  runIds: readonly string[],
  key: string | null,
): Promise<ConversationRecord> {
  const runs = await readLines(db, tenant, runIds);
  const parts = runIds.flatMap((startedAs) => {
    const newest = runs.findLast(({ part }) => part === startedAs);
    return newest === undefined ? [] : [{ startedAs, agentRunId: newest.id, end: newest.run_end }];
  });
  if (key === null) return { parts, message: null };
  const line = [...(await readTakenUp(db, tenant, runIds)), ...runs.map(({ id }) => id)];
  const messages = await db
    .selectFrom('run_messages')
    .select(['run_id', 'turn', 'kind', 'ref'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', sql<string>`any(${line})`)
    .where('id_hash', '=', messageHash(key))
    .execute();
  // A worker that was given up may claim a message for a run that has ended: the newest part is the one that answers.
  const newest = line.toReversed().flatMap((id) => messages.find((message) => message.run_id === id) ?? [])[0];
  return { parts, message: newest === undefined ? null : await describe(db, transcripts, tenant, newest) };
}

/** Reads the runs asked for with those that have taken them up, in the order of the parts and of their admission. */
async function readLines(db: Db, tenant: string, runIds: readonly string[]): Promise<readonly LineRun[]> {
  const { rows } = await sql<LineRun>`
    with recursive line as (
      select id as part, id, run_end, created_at from perdure.runs where tenant = ${tenant} and id = any(${[...runIds]})
      union all
      select line.part, s.id, s.run_end, s.created_at
        from line join perdure.runs s on s.tenant = ${tenant} and s.retry_of = line.id)
    select part, id, run_end from line order by array_position(${[...runIds]}::text[], part), created_at, id`.execute(
    db,
  );
  return rows;
}

/** Lists the runs that these have taken up, the oldest first. */
async function readTakenUp(db: Db, tenant: string, runIds: readonly string[]): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    with recursive line as (
      select retry_of as id from perdure.runs
       where tenant = ${tenant} and id = any(${[...runIds]}) and retry_of is not null
      union
      select r.retry_of from line join perdure.runs r on r.tenant = ${tenant} and r.id = line.id
       where r.retry_of is not null)
    select r.id from line join perdure.runs r on r.tenant = ${tenant} and r.id = line.id order by r.created_at`.execute(
    db,
  );
  return rows.map(({ id }) => id);
}

/** The first reply counts, of the run that took the message in or of one that has taken that one up with it. */
async function describe(db: Db, transcripts: Transcripts, tenant: string, message: Message): Promise<MessageRecord> {
  const { run_id: takenBy, turn: turnsBefore, kind, ref } = message;
  let record: MessageRecord = { agentRunId: takenBy, kind, turnsBefore, heardAt: null, reply: null };
  if (ref === null) return record;
  for (const { id, turn } of await readHearers(db, tenant, message)) {
    const before = record.heardAt === null ? null : Math.max(record.heardAt, turn + 1);
    const heardAt = (await findHearing(db, tenant, { ...message, run_id: id })) ?? before;
    const heard = heardAt === null ? null : await readHeard(db, tenant, id, heardAt);
    const reply = heard === null ? null : await findReply(transcripts, heard);
    record = { agentRunId: id, kind, turnsBefore, heardAt, reply };
    if (reply !== null) break;
  }
  return record;
}

/** Lists the run that took a message in and those that took it up from a later place, the oldest first, with the turns that each took over. */
async function readHearers(
  db: Db,
  tenant: string,
  { run_id, turn }: Message,
): Promise<readonly { readonly id: string; readonly turn: number }[]> {
  const { rows } = await sql<{ id: string; turn: number }>`
    with recursive line as (
      select id, coalesce((taken ->> 'turn')::int, 0) as turn, created_at
        from perdure.runs where tenant = ${tenant} and id = ${run_id}
      union all
      select s.id, (s.taken ->> 'turn')::int, s.created_at
        from line join perdure.runs s on s.tenant = ${tenant} and s.retry_of = line.id
       where (s.taken ->> 'turn')::int >= ${turn})
    select id, turn from line order by created_at, id`.execute(db);
  return rows;
}

/**
 * Finds the first turn whose prompt had the message. It need not be the next one: a reply that was kept while the run was blocked has not
 * heard what was said meanwhile.
 */
async function findHearing(db: Db, tenant: string, { run_id, turn, ref }: Message): Promise<number | null> {
  const { rows } = await sql<{ turn: number }>`
    select m.turn
      from perdure.model_replies m
      join perdure.runs r on r.tenant = m.tenant and r.id = m.run_id
      join perdure.nodes h on h.tenant = m.tenant and h.scope = r.scope and h.address = m.head
      join perdure.nodes p on p.tenant = m.tenant and p.scope = r.scope and p.address = h.previous
     where m.tenant = ${tenant} and m.run_id = ${run_id} and m.turn > ${turn} and ${ref} = any(p.segments)
     order by m.turn limit 1`.execute(db);
  return rows[0]?.turn ?? null;
}

async function readHeard(db: Db, tenant: string, runId: string, heardAt: number): Promise<Heard> {
  const run = await db
    .selectFrom('runs')
    .select([
      'scope',
      'phase',
      'turns',
      'run_end',
      sql<number | null>`(plan ->> 'revisionsMax')::int`.as('revisions_max'),
    ])
    .where('tenant', '=', tenant)
    .where('id', '=', runId)
    .executeTakeFirstOrThrow();
  const replies = await db
    .selectFrom('model_replies')
    .select(['turn', 'answer', 'result'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '>=', heardAt)
    .orderBy('turn')
    .limit(TURNS_READ_MAX)
    .execute();
  const claims = await db
    .selectFrom('run_messages')
    .select(['turn', 'kind', 'id_hash'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '>=', heardAt)
    .execute();
  return { tenant, runId, run, replies, claims };
}

/** The first answer that stands, or the first question to the person, whichever came first. */
async function findReply(transcripts: Transcripts, heard: Heard): Promise<MessageRecord['reply']> {
  const { tenant, run, replies } = heard;
  for (const { turn, answer, result } of replies) {
    if (answer !== null) {
      if (isSentBack(heard, turn)) continue;
      if (run.revisions_max !== null && !isOver(heard, turn)) return null;
      const part = await transcripts.readPart(tenant, run.scope, answer);
      return { kind: 'answer', turn, text: part.kind === 'assistant-text' ? part.text : '' };
    }
    const question = result.calls.find(({ verdict }) => verdict.kind === 'ask');
    if (question === undefined) continue;
    if (!isAsked(heard, turn)) return null;
    const input =
      'args' in question ? question.args : inputOf(await transcripts.readPart(tenant, run.scope, question.argsRef));
    return { kind: 'question', turn, text: questionOf(input) };
  }
  return null;
}

/** The release's check did not let the answer pass: the model was told so, and another answer follows. */
function isSentBack({ claims }: Heard, turn: number): boolean {
  const hash = messageHash(`perdure:reflect-${turn}`);
  return claims.some(({ id_hash }) => id_hash === hash);
}

/** Nothing of a turn is left to do: something came after it, or the run has ended, or waits for the next message. */
function isOver({ run, replies, claims }: Heard, turn: number): boolean {
  if (run.run_end !== null || replies.some((reply) => reply.turn > turn)) return true;
  return claims.some((claim) => claim.turn === turn) || (run.phase === 'waiting' && run.turns >= turn);
}

/** A question comes after the calls before it; a run that ends before has not asked. */
function isAsked(heard: Heard, turn: number): boolean {
  const { run, replies, claims } = heard;
  if (claims.some((claim) => claim.turn === turn && claim.kind === 'answer')) return true;
  if (replies.some((reply) => reply.turn > turn)) return true;
  if (run.run_end === null) return run.phase === 'waiting' && run.turns >= turn;
  return run.run_end.outcome.kind === 'failed' && run.run_end.outcome.cause === 'human-timeout';
}

function inputOf(part: Awaited<ReturnType<Transcripts['readPart']>>): JsonValue {
  return part.kind === 'tool-call' ? part.input : null;
}

function questionOf(input: JsonValue): string {
  const question = input !== null && typeof input === 'object' && 'question' in input ? input['question'] : input;
  return typeof question === 'string' ? question : JSON.stringify(question);
}
