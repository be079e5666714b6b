import { sql } from 'kysely';
import type { MessagePart } from '../domain/model/message-part.ts';
import {
  type Ear,
  type LookFor,
  type SettledReply,
  type StreamLook,
  type StreamPosition,
  TEXT_SEPARATOR,
} from '../domain/stream/stream.ts';
import type { Db } from './database.ts';
import { CHUNKS_PER_LOOK, readChunks, type StreamPlace } from './stream-chunks.ts';
import type { StreamListener } from './stream-listener.ts';
import type { Transcripts } from './transcripts.ts';

/** Replies of one run that one look gives. */
const REPLIES_PER_LOOK = 100;

/** A look that somebody waits for. */
type Asked = StreamPlace & {
  readonly lookFor: LookFor;
  readonly resolve: (look: StreamLook) => void;
  readonly reject: (error: unknown) => void;
};

type Settled = { readonly replies: readonly SettledReply[]; readonly isOver: boolean; readonly isFull: boolean };

/**
 * Reads what models say. Looks that are asked for while one is under way go together, so that many readers of a process cost as few statements
 * as one.
 */
export function createStreamReader(db: Db, transcripts: Transcripts, listener: StreamListener | null) {
  let waiting: Asked[] = [];
  let isLooking = false;
  const lookForAll = async (): Promise<void> => {
    isLooking = true;
    // Whoever was woken by the same notification asks in the same moment.
    await Promise.resolve();
    while (waiting.length > 0) {
      const asked = waiting;
      waiting = [];
      await answer(db, transcripts, asked);
    }
    isLooking = false;
  };
  return {
    look: (tenant: string, runId: string, after: StreamPosition, lookFor: LookFor): Promise<StreamLook> =>
      new Promise((resolve, reject) => {
        waiting.push({ tenant, runId, after, lookFor, resolve, reject });
        if (!isLooking) void lookForAll();
      }),
    listen: (runId: string): Ear | null => listener?.listen(runId) ?? null,
  };
}

async function answer(db: Db, transcripts: Transcripts, asked: readonly Asked[]): Promise<void> {
  try {
    // Replies first: what their attempts said is written by then, and a reply that is missed here is found by the next look.
    const whole = asked.filter(({ lookFor }) => lookFor === 'all');
    const rows = whole.length === 0 ? [] : await readSettled(db, whole);
    const chunks = await readChunks(db, asked);
    await Promise.all(
      asked.map(async (each, at) => {
        const said = chunks[at] ?? [];
        const own = rows.filter((row) => whole[Number(row.at) - 1] === each);
        // The words of one run that cannot be read are no trouble of the others.
        await toSettled(transcripts, each.tenant, own).then(
          ({ replies, isOver, isFull }) =>
            each.resolve({ chunks: said, replies, isOver, isFull: isFull || said.length >= CHUNKS_PER_LOOK }),
          each.reject,
        );
      }),
    );
  } catch (error) {
    for (const each of asked) each.reject(error);
  }
}

type SettledRow = {
  readonly at: string;
  readonly scope: string;
  readonly is_over: boolean;
  readonly turn: number;
  readonly head: string | null;
  readonly is_answer: boolean;
};

async function readSettled(db: Db, places: readonly StreamPlace[]): Promise<readonly SettledRow[]> {
  const { rows } = await sql<SettledRow>`
    select w.at, r.scope, r.run_end is not null as is_over, m.turn, m.head, m.answer is not null as is_answer
      from unnest(${places.map(({ tenant }) => tenant)}::text[], ${places.map(({ runId }) => runId)}::text[],
                  ${places.map(({ after }) => after.turn)}::int[]) with ordinality as w (tenant, run_id, turn, at)
      join perdure.runs r on r.tenant = w.tenant and r.id = w.run_id
      left join lateral (
        select turn, head, answer from perdure.model_replies m
         where m.tenant = w.tenant and m.run_id = w.run_id and m.turn >= w.turn
         order by m.turn limit ${REPLIES_PER_LOOK}) m on true
     order by w.at, m.turn`.execute(db);
  return rows;
}

async function toSettled(transcripts: Transcripts, tenant: string, rows: readonly SettledRow[]): Promise<Settled> {
  const replies: SettledReply[] = [];
  for (const { scope, head, turn, is_answer: isAnswer } of rows) {
    if (head !== null) replies.push({ turn, text: await textOf(transcripts, tenant, scope, head), isAnswer });
  }
  return { replies, isOver: rows[0]?.is_over ?? false, isFull: replies.length >= REPLIES_PER_LOOK };
}

async function textOf(transcripts: Transcripts, tenant: string, scope: string, head: string): Promise<string> {
  const nodes = await transcripts.readReplaced(tenant, scope, { from: head, to: head });
  const parts: readonly MessagePart[] = nodes.flatMap(({ segments }) => segments.map(({ part }) => part));
  return parts.flatMap((part) => (part.kind === 'assistant-text' ? [part.text] : [])).join(TEXT_SEPARATOR);
}
