import type { JsonValue } from '../../domain/json.ts';
import { fieldOf } from '../model/error-chain.ts';
import { safeMessage } from '../model/safe-message.ts';
import type { Fetch } from '../model/wire-model.ts';
import { maskRequest } from './mask-json.ts';
import { createMasker, type Masker, type MaskKind } from './masker.ts';
import type { Answered, RecordingLine, ThrownError } from './recording.ts';
import { keepBody } from './reply-body.ts';
import { callOf, REQUEST_ID_HEADER } from './run-position.ts';
import { secretsOf } from './secrets-of.ts';

/** Where recordings are written. */
export type RecordingSink = {
  /** Adds a line to the recording of a run, so that it outlives the process. Begins the recording where there is none. */
  readonly append: (run: string, line: RecordingLine) => Promise<void>;
  /** Says what could not be recorded. The call goes on: its reply is worth more. */
  readonly report: (problem: string) => void;
  readonly kinds: readonly MaskKind[];
};

/** Headers of a reply that say something about the call, and nothing about who made it. */
const HEADERS =
  /^(?:content-type|retry-after(?:-ms)?|x-request-id|request-id|x-should-retry|x-amzn-(?:requestid|errortype)|(?:(?:x|anthropic)-)?ratelimit-[\w-]+)$/;

/** Errors that are looked at, from the outermost to its cause. */
const ERRORS_MAX = 5;

/**
 * Records what goes over the wire of a model. The reply is passed on chunk by chunk as it comes, and its end when it is recorded; a recording
 * that fails changes nothing. Requests without the id of a call, such as questions about usage, are let through.
 */
export function recordFetch(fetch: Fetch, model: string, sink: RecordingSink): Fetch {
  return async (input, init) => {
    const id = new Headers(init?.headers).get(REQUEST_ID_HEADER);
    const call = callOf(id);
    if (id === null || call === null) return fetch(input, init);
    const masker = createMasker(sink.kinds, secretsOf(input, init));
    const asked = typeof init?.body === 'string' ? parseBody(init.body) : null;
    if (asked === null) {
      sink.report(`${id}: its request is no text, so the call is not recorded`);
      return fetch(input, init);
    }
    const request = {
      method: init?.method ?? 'GET',
      url: masker.mask(placeOf(input)),
      body: maskRequest(asked, masker),
    };
    const write = (line: RecordingLine): Promise<void> =>
      sink.append(call.run, line).catch((error: unknown) => sink.report(`${line.kind} ${id}: ${String(error)}`));
    await write({ kind: 'asked', id, turn: call.turn, model, at: new Date().toISOString(), request });
    return recordReply({ id, masker, write, signal: init?.signal ?? null }, () => fetch(input, init));
  };
}

type Call = {
  readonly id: string;
  readonly masker: Masker;
  readonly write: (line: RecordingLine) => Promise<void>;
  readonly signal: AbortSignal | null;
};

async function recordReply(call: Call, send: () => Promise<Response>): Promise<Response> {
  const beganAt = performance.now();
  const elapsed = (): number => Math.round(performance.now() - beganAt);
  const closing = { kind: 'answered', id: call.id } as const;
  const nothing = { headers: {}, body: '', encoding: 'text', chunks: [], status: null } as const;
  let response: Response;
  try {
    response = await send();
  } catch (error) {
    const end = call.signal?.aborted === true ? 'stopped' : 'failed';
    await call.write({
      ...closing,
      ...nothing,
      chunks: [],
      end,
      endMs: elapsed(),
      errors: errorsOf(error, call.masker),
    });
    throw error;
  }
  const chunks: { readonly atMs: number; readonly bytes: Uint8Array }[] = [];
  let isClosed = false;
  const close = async (end: Answered['end'], error?: unknown): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    const head = { status: response.status, headers: headersOf(response.headers, call.masker) };
    const body = keepBody(chunks, call.masker);
    await call.write({ ...closing, ...head, ...body, end, endMs: elapsed(), errors: errorsOf(error, call.masker) });
  };
  if (response.body === null) {
    await close('whole');
    return response;
  }
  const reader = response.body.getReader();
  const passed = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) {
            await close('whole');
            controller.close();
            return;
          }
          chunks.push({ atMs: elapsed(), bytes: value });
          controller.enqueue(value);
        } catch (error) {
          await close(call.signal?.aborted === true ? 'stopped' : 'cut', error);
          controller.error(error);
        }
      },
      // Whoever reads may have seen enough: an error inside the reply, or its end.
      cancel: async (reason) => {
        await close('stopped');
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  const { status, statusText, headers } = response;
  return new Response(passed, { status, statusText, headers: decodedHeaders(headers) });
}

/** The body was decoded when it was read; whoever reads it again must not do so once more. */
function decodedHeaders(headers: Headers): Headers {
  const copy = new Headers(headers);
  for (const name of ['content-encoding', 'content-length']) copy.delete(name);
  return copy;
}

function headersOf(headers: Headers, masker: Masker): Record<string, string> {
  return Object.fromEntries(
    [...headers].flatMap(([name, value]) => (HEADERS.test(name) ? [[name, masker.mask(value)]] : [])),
  );
}

/** Keeps the place that was asked, without names, passwords or parameters: some providers take keys there. */
function placeOf(input: Parameters<Fetch>[0]): string {
  const url = new URL(input instanceof Request ? input.url : input);
  return `${url.origin}${url.pathname}`;
}

function parseBody(body: string): JsonValue {
  try {
    return JSON.parse(body) as JsonValue;
  } catch {
    return body;
  }
}

function errorsOf(error: unknown, masker: Masker): ThrownError[] {
  const errors: ThrownError[] = [];
  for (let each = error; each instanceof Error && errors.length < ERRORS_MAX; each = each.cause) {
    // An attempt on several addresses has what is known in the first of them.
    const first: unknown = each instanceof AggregateError ? each.errors[0] : null;
    const code = fieldOf(each, 'code') ?? fieldOf(first, 'code');
    const syscall = fieldOf(each, 'syscall') ?? fieldOf(first, 'syscall');
    errors.push({
      name: each.name,
      message: masker.mask(safeMessage(each.message)),
      ...(code === null ? {} : { code }),
      ...(syscall === null ? {} : { syscall }),
    });
  }
  return errors;
}
