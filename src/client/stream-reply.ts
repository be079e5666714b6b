import type { StreamProgress } from '../domain/stream/stream.ts';
import type { MessageRecord } from '../domain/schemas/run-records.ts';
import type { ClientContext } from './context.ts';
import type { CheckedMessage, Delivery } from './deliver-message.ts';
import { type FollowOptions, isAborted } from './follow-run.ts';
import { followStream } from './follow-stream.ts';
import { pause } from './pause.ts';
import type { Reply } from './reply.ts';
import type { RunReader } from './run-reader.ts';

/** What is said about a message, and the reply, which comes last and once. */
export type ReplyStreamProgress = StreamProgress | { readonly kind: 'reply'; readonly reply: Reply };

/** Milliseconds between two looks whether the run has taken the message in: the first word waits for it. */
const TAKEN_LOOK_MS = 50;

/** Tells what an agent says about a message. The reply is awaited as ever: it comes whatever became of the stream. */
export async function* streamReply(
  context: ClientContext,
  reader: RunReader,
  { place: { tenant }, body }: CheckedMessage,
  { agentRunId }: Delivery,
  awaitReply: (options?: FollowOptions) => Promise<Reply>,
  options: FollowOptions = {},
): AsyncGenerator<ReplyStreamProgress> {
  const left = new AbortController();
  const enough = new AbortController();
  const signal = options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal]);
  const replied = awaitReply({ ...options, signal }).finally(() => enough.abort());
  // It is awaited at last; until then its failure must not end the process.
  replied.catch(() => undefined);
  const messageOf = async (): Promise<MessageRecord | null> =>
    (await reader.conversation(tenant, [agentRunId], body.id)).message;
  try {
    let taken = await messageOf();
    while (taken === null && !isAborted(enough.signal)) {
      await pause(TAKEN_LOOK_MS, enough.signal);
      taken = await messageOf();
    }
    if (taken !== null) {
      const after = { turn: taken.turnsBefore + 1, attempt: 0, sequence: 0 };
      let told = after.turn;
      for await (const progress of followStream(context, taken.agentRunId, tenant, { after, signal }, enough.signal)) {
        const turn = progress.kind === 'end' ? progress.turn : progress.position.turn;
        // What comes behind the reply belongs to the next message. A turn begins once the one before it is done, so one question tells.
        if (turn > told && ((await messageOf())?.reply?.turn ?? turn) < turn) break;
        told = Math.max(told, turn);
        yield progress;
      }
    }
    yield { kind: 'reply', reply: await replied };
  } finally {
    left.abort();
  }
}
