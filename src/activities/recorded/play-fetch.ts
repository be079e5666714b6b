import type { JsonValue } from '../../domain/json.ts';
import { ScriptError } from '../model/model-errors.ts';
import type { Fetch } from '../model/wire-model.ts';
import { delay } from '../delay.ts';
import { applyEdits, type Edit } from './masker.ts';
import { type CountPlayed, lastOf, type RecordedModel, type Taken } from './player.ts';
import type { Answered, ThrownError } from './recording.ts';
import { chunksIn } from './reply-body.ts';
import { callOf, REQUEST_ID_HEADER } from './run-position.ts';

/**
 * Makes a `fetch` that answers from a recording, with the bytes, chunks, statuses and errors that came then. Nothing goes out.
 *
 * @param countPlayed Says where each run is. Without it that is what this process has played.
 */
export function playFetch(recorded: RecordedModel, model: string, countPlayed?: CountPlayed): Fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const at = callOf(new Headers(init?.headers).get(REQUEST_ID_HEADER));
    if (at === null || typeof init?.body !== 'string')
      throw new ScriptError(`A recording cannot answer ${lastOf(url)}`);
    const body = JSON.parse(init.body) as JsonValue;
    const played = await countPlayed?.(at.run);
    const { exchange, valueOf } = recorded.take(at, model, { body, place: lastOf(url) }, played);
    if (exchange.kind !== 'wire') throw new ScriptError('This recording was not made on the wire');
    const { answer } = exchange;
    if (answer === null) throw lost();
    const clock = clockOf(recorded.latency, init.signal ?? null);
    if (answer.status === null) {
      await clock(answer.endMs);
      throw errorOf(answer.errors);
    }
    const [firstAtMs] = answer.chunks[0] ?? [answer.endMs];
    await clock(firstAtMs);
    const hasBody = ![204, 205, 304].includes(answer.status);
    return new Response(hasBody ? bodyOf(answer, valueOf, clock) : null, {
      status: answer.status,
      headers: answer.headers,
    });
  };
}

/** What came before a break has been read by then. */
const READ_MS = 25;

/** Whoever stopped reading then does so now; if not, the reply ends where the recording does. */
const GIVE_UP_MS = 1_000;

type ValueOf = Taken['valueOf'];

/** Waits until so many milliseconds have gone by since the call began. */
type Clock = (atMs: number) => Promise<void>;

function clockOf(latency: RecordedModel['latency'], signal: AbortSignal | null): Clock {
  const beganAt = performance.now();
  return async (atMs) => {
    signal?.throwIfAborted();
    const waitMs = latency === 'none' ? 0 : atMs - (performance.now() - beganAt);
    if (waitMs > 0) await delay(waitMs, signal ?? undefined);
  };
}

function bodyOf(answer: Answered, valueOf: ValueOf, clock: Clock): ReadableStream<Uint8Array> {
  const chunks = chunksIn(answer, (text) => unmasked(text, valueOf));
  let next = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const chunk = chunks[next];
          next += 1;
          await clock(chunk?.atMs ?? answer.endMs);
          if (chunk !== undefined) controller.enqueue(chunk.bytes);
          else if (answer.end === 'whole') controller.close();
          else {
            // An error drops what was not read yet, and whoever reads may stop at what came last, as it did then.
            await delay(answer.errors.length > 0 ? READ_MS : GIVE_UP_MS);
            controller.error(errorOf(answer.errors));
          }
        } catch (error) {
          controller.error(error);
        }
      },
    },
    { highWaterMark: 0 },
  );
}

/** Puts the values back that a run knows, in the place of their masks. */
export function unmask(text: string, valueOf: ValueOf): string {
  return applyEdits(text, unmasked(text, valueOf));
}

function unmasked(text: string, valueOf: ValueOf): readonly Edit[] {
  return [...text.matchAll(/\[[a-z]+-\d+\]/g)].flatMap((match) => {
    const value = valueOf(match[0]);
    // Inside a text that is JSON itself a value must be written otherwise; only what is written the same everywhere is put back.
    if (value === undefined || /["\\\p{Cc}]/u.test(value)) return [];
    return [{ start: match.index, end: match.index + match[0].length, text: value }];
  });
}

/** The worker that asked ended before it knew the answer: nobody can tell whether there was one. */
function lost(): Error {
  return errorOf([
    { name: 'TypeError', message: 'fetch failed' },
    { name: 'Error', message: 'the worker ended during the call', code: 'ECONNRESET' },
  ]);
}

function errorOf(errors: readonly ThrownError[]): Error {
  const [first, ...causes] = errors;
  if (first === undefined) return errorOf([{ name: 'Error', message: 'terminated', code: 'UND_ERR_SOCKET' }]);
  const { name, message, code, syscall } = first;
  if (name === 'AbortError' || name === 'TimeoutError') return new DOMException(message, name);
  const options = causes.length === 0 ? {} : { cause: errorOf(causes) };
  const error = name === 'TypeError' ? new TypeError(message, options) : new Error(message, options);
  if (name !== 'TypeError') error.name = name;
  return Object.assign(error, code === undefined ? {} : { code }, syscall === undefined ? {} : { syscall });
}
