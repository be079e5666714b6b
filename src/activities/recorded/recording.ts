import { z } from 'zod';
import type { JsonValue } from '../../domain/json.ts';
import { attemptOf } from './run-position.ts';

const json = z.custom<JsonValue>((value) => value !== undefined);

/** The first line of a recording, with the masks that a person asked for: sources of regular expressions by name. */
const opened = z.object({
  kind: z.literal('recording'),
  version: z.literal(1),
  run: z.string(),
  masks: z.record(z.string(), z.string()),
});

/** An error as it was thrown, with what it was caused by. */
const thrown = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string().optional(),
  syscall: z.string().optional(),
});

/** A request, written before it is sent. */
const asked = z.object({
  kind: z.literal('asked'),
  id: z.string(),
  turn: z.number().int(),
  /** `provider:model`. */
  model: z.string(),
  at: z.string(),
  request: z.object({ method: z.string(), url: z.string(), body: json }),
});

/** What came back. `whole` was read to its end, `cut` broke off, `failed` never answered, `stopped` was given up by the worker. */
const answered = z.object({
  kind: z.literal('answered'),
  id: z.string(),
  status: z.number().int().nullable(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  /** How the body is written. `frames` has a line for the payload of each binary event. */
  encoding: z.enum(['text', 'base64', 'frames']),
  /** Of binary events the headers, in base64, and the bytes of one that was cut. */
  frames: z.object({ heads: z.array(z.string()), rest: z.number().int() }).optional(),
  /** Of each chunk the milliseconds since the request, and its bytes. */
  chunks: z.array(z.tuple([z.number(), z.number().int()])),
  end: z.enum(['whole', 'cut', 'failed', 'stopped']),
  endMs: z.number(),
  errors: z.array(thrown),
});

/** A call of a run that was not recorded on the wire, as its rows and its transcript have it. */
const kept = z.object({
  kind: z.literal('kept'),
  turn: z.number().int(),
  model: z.string(),
  /** What was asked; null where the transcript does not say it. */
  request: z.object({ instructions: z.string(), parts: json, tools: json }).nullable(),
  reply: json.nullable(),
  failure: z
    .object({
      cause: z.string(),
      message: z.string(),
      charge: z.enum(['settled', 'held', 'released', 'reserved']),
    })
    .nullable(),
  modelId: z.string().nullable(),
  usage: z
    .object({
      inputTokens: z.number(),
      outputTokens: z.number(),
      cacheReadTokens: z.number(),
      cacheWriteTokens: z.number(),
      reasoningTokens: z.number(),
    })
    .nullable(),
});

const line = z.discriminatedUnion('kind', [opened, asked, answered, kept]);

export type RecordingLine = z.infer<typeof line>;
export type ThrownError = z.infer<typeof thrown>;
export type Asked = z.infer<typeof asked>;
export type Answered = z.infer<typeof answered>;
export type Kept = z.infer<typeof kept>;

/** One call of a model. `answer` is null when its worker ended before it could write what came back. */
export type Exchange =
  | {
      readonly kind: 'wire';
      readonly turn: number;
      readonly model: string;
      readonly asked: Asked;
      readonly answer: Answered | null;
    }
  | { readonly kind: 'kept'; readonly turn: number; readonly model: string; readonly kept: Kept };

export type Recording = {
  readonly run: string;
  readonly masks: Readonly<Record<string, string>>;
  readonly exchanges: readonly Exchange[];
  /** Lines that cannot be read: a worker ended while it wrote them. */
  readonly tornLines: number;
};

/**
 * Reads a recording. A line that was torn, because its worker was killed, is left out; one that is whole and makes no sense is refused.
 *
 * @throws TypeError when the text is no recording.
 */
export function parseRecording(text: string): Recording {
  const lines: RecordingLine[] = [];
  let tornLines = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    if (raw.trim() === '') continue;
    const value = parse(raw);
    if (value === undefined) tornLines += 1;
    else lines.push(checked(value, index + 1));
  }
  const [first] = lines;
  if (first?.kind !== 'recording') throw new TypeError('A recording begins with a line of the kind "recording"');
  const answers = new Map(lines.flatMap((each) => (each.kind === 'answered' ? [[each.id, each] as const] : [])));
  const requests = inOrder(lines.flatMap((each) => (each.kind === 'asked' ? [each] : [])));
  const exchanges: Exchange[] = [
    ...lines.flatMap((each) =>
      each.kind === 'kept' ? [{ kind: each.kind, turn: each.turn, model: each.model, kept: each }] : [],
    ),
    ...requests.map((each) => ({
      kind: 'wire' as const,
      turn: each.turn,
      model: each.model,
      asked: each,
      answer: answers.get(each.id) ?? null,
    })),
  ];
  return { run: first.run, masks: first.masks, exchanges, tornLines };
}

/**
 * Orders requests by when they were made: files of several workers may be put together one after the other. The attempts of one activity go
 * by their numbers, because the clocks of two workers differ.
 */
function inOrder(requests: readonly Asked[]): readonly Asked[] {
  const placed = requests.map((each) => ({ each, ...attemptOf(each.id) }));
  const began = new Map<string, string>();
  for (const { each, activity } of placed) {
    const earliest = began.get(activity);
    if (earliest === undefined || each.at < earliest) began.set(activity, each.at);
  }
  return placed
    .toSorted(
      (one, other) =>
        order(began.get(one.activity) ?? '', began.get(other.activity) ?? '') ||
        order(one.activity, other.activity) ||
        one.attempt - other.attempt ||
        order(one.each.at, other.each.at),
    )
    .map(({ each }) => each);
}

function order(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function checked(value: unknown, number: number): RecordingLine {
  const parsed = line.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new TypeError(
    `Line ${number} of the recording is not one that this version knows: ${z.prettifyError(parsed.error)}`,
  );
}

function parse(raw: string): JsonValue | undefined {
  try {
    return JSON.parse(raw) as JsonValue;
  } catch {
    return undefined;
  }
}
