import { createHash } from 'node:crypto';
import type { JsonObject, JsonValue } from '../../../src/domain/json.ts';

/** Tokens of a prompt by what the provider charges for them; together they are the whole prompt. `hour` is the part of `written` that is kept for an hour. */
export type Charged = {
  readonly fresh: number;
  readonly written: number;
  readonly hour: number;
  readonly read: number;
};

/**
 * A prompt as a cache compares it: a hash of everything up to the end of each block, and the tokens up to there. `contents` is what each block says, wherever
 * it stands.
 */
export type Prefixes = {
  readonly hashes: readonly string[];
  readonly tokens: readonly number[];
  readonly contents: readonly string[];
};

/** What a cache does with a request: charges it, or refuses it in the words of its provider. */
export type Cached =
  { readonly kind: 'charged'; readonly charged: Charged } | { readonly kind: 'refused'; readonly message: string };

type Body = {
  readonly model: string;
  readonly tools?: readonly JsonObject[];
  readonly system?: readonly JsonObject[];
  readonly messages: readonly JsonObject[];
  readonly tool_choice?: JsonValue;
  readonly thinking?: JsonValue;
  readonly prompt_cache_key?: string;
};

/** A token for every four bytes. */
const BYTES_PER_TOKEN = 4;

const MINUTE_MS = 60_000;

/** Cuts a request into the blocks that a cache compares, without marks: tools, instructions, and each block of each message. */
export function prefixesOf(body: Body): Prefixes {
  const hashes: string[] = [];
  const tokens: number[] = [];
  const contents: string[] = [];
  for (const { text, settings, content } of blocksOf(body)) {
    contents.push(createHash('sha256').update(content).digest('base64url'));
    hashes.push(
      createHash('sha256')
        .update(`${hashes.at(-1) ?? body.model} ${settings}${text}`)
        .digest('base64url'),
    );
    tokens.push((tokens.at(-1) ?? 0) + Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN));
  }
  return { hashes, tokens, contents };
}

type Block = {
  readonly text: string;
  readonly content: string;
  readonly ttl: '5m' | '1h' | null;
  /** Of the request: messages that were kept are found only where these are the same. Tools and instructions are found all the same. */
  readonly settings: string;
};

function blocksOf({ tools = [], system = [], messages, tool_choice: choice, thinking }: Body): readonly Block[] {
  const settings = JSON.stringify([choice ?? { type: 'auto' }, thinking ?? null]);
  return [
    ...tools.map((tool) => toBlock('tool', tool)),
    ...system.map((part) => toBlock('system', part)),
    ...messages.flatMap((message, index) => {
      const { content, ...rest } = message;
      const place = `${index} ${JSON.stringify(rest)}`;
      if (!Array.isArray(content)) return [toBlock(place, { content: content ?? null }, settings)];
      return content.map((part) => toBlock(place, part as JsonObject, settings));
    }),
  ];
}

function toBlock(place: string, { cache_control: mark, ...block }: JsonObject, settings = ''): Block {
  const ttl = mark === undefined ? null : ((mark as { readonly ttl?: '1h' }).ttl ?? '5m');
  const content = JSON.stringify(block);
  return { text: `${place} ${content}`, content, ttl, settings };
}

/** Positions that are looked at from a mark backwards, the mark's own included. */
const LOOKED_AT = 20;

/**
 * Keeps prompts as Anthropic does: what is marked, at most four times, from a length on, for five minutes or an hour after the last use. From each mark it looks back
 * over twenty blocks for the longest that was kept.
 *
 * @see https://docs.claude.com/en/docs/build-with-claude/prompt-caching
 */
export function markedCache(settings: { readonly tokensMin: number; readonly now: () => number }) {
  const kept = new Map<string, { readonly ttl: '5m' | '1h'; readonly until: number }>();
  return (body: Body): Cached => {
    const blocks = blocksOf(body);
    const { hashes, tokens } = prefixesOf(body);
    const marks = blocks.flatMap(({ ttl }, index) => (ttl === null ? [] : [{ index, ttl }]));
    const problem = problemOf(marks);
    if (problem !== null) return { kind: 'refused', message: problem };
    const isKept = (index: number): boolean => (kept.get(hashes[index] ?? '')?.until ?? 0) > settings.now();
    const found = marks.flatMap(({ index }) => lookBack(index, isKept));
    const hit = Math.max(-1, ...found);
    const keep = (index: number, ttl: '5m' | '1h'): void => {
      kept.set(hashes[index] ?? '', { ttl, until: settings.now() + (ttl === '1h' ? 60 : 5) * MINUTE_MS });
    };
    const longEnough = marks.filter(({ index }) => (tokens[index] ?? 0) >= settings.tokensMin);
    // What is read is kept anew, each for its own time; what stands before it without being kept is paid for by it.
    for (const index of found) keep(index, kept.get(hashes[index] ?? '')?.ttl ?? '5m');
    for (const { index, ttl } of longEnough) if (!isKept(index)) keep(index, ttl);
    const total = tokens.at(-1) ?? 0;
    const read = hit < 0 ? 0 : (tokens[hit] ?? 0);
    const endOf = (of: typeof longEnough): number => Math.max(read, tokens[of.at(-1)?.index ?? -1] ?? 0);
    const end = endOf(longEnough);
    const hour = endOf(longEnough.filter(({ ttl }) => ttl === '1h')) - read;
    return { kind: 'charged', charged: { fresh: total - end, written: end - read, hour, read } };
  };
}

function problemOf(marks: readonly { readonly ttl: string }[]): string | null {
  if (marks.length > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${marks.length}.`;
  const isLateHour = marks.some(({ ttl }, index) => ttl === '1h' && marks[index - 1]?.ttl === '5m');
  return isLateHour ? 'a ttl=1h cache_control block must not come after a ttl=5m cache_control block' : null;
}

function lookBack(from: number, isKept: (index: number) => boolean): readonly number[] {
  for (let index = from; index > from - LOOKED_AT && index >= 0; index -= 1) if (isKept(index)) return [index];
  return [];
}

/** Length from which OpenAI keeps a prompt, and the step in which it counts what it found, in tokens. */
const AUTOMATIC_MIN = 1_024;
const AUTOMATIC_STEP = 128;

/** Tokens of a prompt's beginning that route it to a machine, together with the key of the request. */
const ROUTED_BY = 256;

/** Prompts that a machine keeps. */
const KEPT_PROMPTS = 16;

/**
 * Keeps prompts as OpenAI does: all by itself, from 1,024 tokens on, found in steps of 128, at the machine that the prompt's beginning and the request's
 * key lead to, for five minutes after the last use.
 *
 * @see https://platform.openai.com/docs/guides/prompt-caching
 */
export function automaticCache(settings: { readonly now: () => number }) {
  const machines = new Map<string, readonly { readonly text: string; readonly until: number }[]>();
  return (body: Body): Cached => {
    const text = [body.model, ...blocksOf(body).map((block) => block.text)].join('\n');
    const start = text.slice(0, ROUTED_BY * BYTES_PER_TOKEN);
    const machine = createHash('sha256')
      .update(`${body.prompt_cache_key ?? ''} ${start}`)
      .digest('base64url');
    const kept = (machines.get(machine) ?? []).filter(({ until }) => until > settings.now());
    const total = prefixesOf(body).tokens.at(-1) ?? 0;
    const longest = Math.max(0, ...kept.map((prompt) => commonLength(prompt.text, text)));
    const steps = Math.floor(longest / BYTES_PER_TOKEN / AUTOMATIC_STEP) * AUTOMATIC_STEP;
    const read = steps < AUTOMATIC_MIN ? 0 : Math.min(steps, total);
    if (total >= AUTOMATIC_MIN) {
      machines.set(machine, [{ text, until: settings.now() + 5 * MINUTE_MS }, ...kept].slice(0, KEPT_PROMPTS));
    }
    return { kind: 'charged', charged: { fresh: total - read, written: 0, hour: 0, read } };
  };
}

function commonLength(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let [low, high] = [0, shorter];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (a.slice(low, middle) === b.slice(low, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
