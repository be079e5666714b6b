import type { SettledReply, StreamChunk, StreamLook, StreamPosition, StreamProgress } from './stream.ts';

/** What a reader has been told, and what it is told next. */
export type Heard = { readonly position: StreamPosition; readonly told: readonly StreamProgress[] };

/**
 * Tells what a look adds to what a reader knows. It only goes forward: of two attempts that are alive at once the later one is told, so they
 * never mix, and a turn whose reply is settled is over whatever is still said in it.
 */
export function hear(position: StreamPosition, { chunks, replies, isOver, isFull }: StreamLook): Heard {
  let heard: Heard = { position, told: [] };
  for (const reply of replies) {
    if (reply.turn < heard.position.turn) continue;
    // What the attempt that is being told said last; another attempt's words would only be taken back.
    heard = tellChunks(
      heard,
      chunks.filter(({ turn, attempt }) => turn === reply.turn && isSame(heard.position, { turn, attempt })),
    );
    heard = tellEnd(heard, reply);
  }
  heard = tellNewest(heard, chunks);
  // The run ended in the middle of a reply that was never kept.
  return isOver && !isFull && isPartial(heard.position) ? tellReset(heard, { ...heard.position, sequence: 0 }) : heard;
}

function tellNewest(heard: Heard, chunks: readonly StreamChunk[]): Heard {
  const last = chunks.at(-1);
  if (last === undefined || last.turn < heard.position.turn) return heard;
  const newest = chunks.filter((chunk) => isSame(chunk, last));
  if (isSame(heard.position, last)) return tellChunks(heard, newest);
  const start = { turn: last.turn, attempt: last.attempt, sequence: 0 };
  if (isEarlier(start, heard.position)) return heard;
  const begun = isPartial(heard.position) ? tellReset(heard, start) : { ...heard, position: start };
  return tellChunks(begun, newest);
}

function tellChunks(heard: Heard, chunks: readonly StreamChunk[]): Heard {
  let { position } = heard;
  const told = [...heard.told];
  for (const { turn, attempt, sequence, delta } of chunks) {
    // A chunk whose insert was tried again may be there twice.
    if (sequence <= position.sequence) continue;
    if (sequence > position.sequence + 1)
      told.push({ kind: 'gap', position: { turn, attempt, sequence: sequence - 1 } });
    position = { turn, attempt, sequence };
    told.push({ kind: 'delta', of: delta.kind, text: delta.text, position });
  }
  return { position, told };
}

function tellEnd(heard: Heard, reply: SettledReply): Heard {
  const position = { turn: reply.turn + 1, attempt: 0, sequence: 0 };
  const before = isPartial(heard.position) && heard.position.turn < reply.turn ? tellReset(heard, position) : heard;
  return { position, told: [...before.told, { kind: 'end', ...reply, position }] };
}

function tellReset(heard: Heard, position: StreamPosition): Heard {
  return { position, told: [...heard.told, { kind: 'reset', position }] };
}

/** Whether a reader has words of a reply that is not settled. */
function isPartial({ sequence }: StreamPosition): boolean {
  return sequence > 0;
}

function isSame(one: Omit<StreamPosition, 'sequence'>, other: Omit<StreamPosition, 'sequence'>): boolean {
  return one.turn === other.turn && one.attempt === other.attempt;
}

function isEarlier(one: StreamPosition, other: StreamPosition): boolean {
  return one.turn === other.turn ? one.attempt < other.attempt : one.turn < other.turn;
}
