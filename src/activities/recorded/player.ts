import { canonicalJson, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { ScriptError } from '../model/model-errors.ts';
import { describeDifference, firstDifference, quoteDifference } from './difference.ts';
import { createMasker, MASK_KINDS, type Masker, type MaskKind } from './masker.ts';
import { maskRequest } from './mask-json.ts';
import type { RunPosition } from './run-position.ts';
import { type Exchange, parseRecording, type Recording } from './recording.ts';

/** Members of a request that name the caller or a cache, and may differ from run to run. */
const CALLERS_OWN = new Set(['metadata', 'prompt_cache_key', 'safety_identifier', 'user']);

export type PlayerOptions = {
  /** Values that change from run to run, such as times: they are compared as masks. Those that the recording was made with are known to it. */
  readonly mask?: Readonly<Record<string, RegExp>>;
  /** `recorded` waits as long as the provider did; the default does not wait. */
  readonly latency?: 'none' | 'recorded';
};

/** A recording that can be played by any number of runs, each from its beginning. */
export type RecordedModel = {
  /** The model that the first call was made of: `provider:model`. */
  readonly modelId: string;
  /** The run that was recorded. */
  readonly run: string;
  readonly latency: 'none' | 'recorded';
  /** Whether calls are played over the wire, or as the transcript has them. */
  readonly kind: Exchange['kind'];
  /**
   * Finds what comes next at a place of a run and checks that the same is asked.
   *
   * @param played Calls of the run that were played to their end, by turn. Without it those of this process are counted.
   * @throws ScriptError when nothing is recorded there, when something was left out before it, or when something else is asked.
   */
  readonly take: (at: RunPosition, model: string, request: PlayedRequest, played?: PlayedCalls) => Taken;
  /** @throws ScriptError when a run of this process asked for something else, or left a recorded reply unused, or when there was none. */
  readonly assertUsed: () => void;
};

/** Numbers of calls by turn. */
export type PlayedCalls = ReadonlyMap<number, number>;

/** Counts the calls of recorded models that a run has made and heard of, whichever process made them. */
export type CountPlayed = (run: string) => Promise<PlayedCalls>;

export type PlayedRequest = { readonly body: JsonValue; readonly place: string | null };
export type Taken = {
  readonly exchange: Exchange;
  /** Gives what this run has in the place of a mask of the recording, where it is known. */
  readonly valueOf: (mask: string) => string | undefined;
};

type Played = { readonly used: Map<number, number>; readonly problems: string[] };

/**
 * Makes a model of a recording's text (`perdure/testing`), to be given to `startTestPlatform`.
 *
 * @throws TypeError when the text is no recording, or holds no call.
 */
export function recorded(text: string, { mask = {}, latency = 'none' }: PlayerOptions = {}): RecordedModel {
  const recording = parseRecording(text);
  const [first] = recording.exchanges;
  if (first === undefined) throw new TypeError(`The recording of ${recording.run} holds no call of a model`);
  const made = Object.entries(recording.masks).map(([name, source]) => [name, new RegExp(source, 'gu')] as const);
  const kinds = [...MASK_KINDS, ...kindsOf({ ...Object.fromEntries(made), ...mask })];
  const turns = Map.groupBy(recording.exchanges, ({ turn }) => turn);
  const runs = new Map<string, Played>();
  const playedBy = (run: string): Played => {
    const played = runs.get(run) ?? { used: new Map(), problems: [] };
    runs.set(run, played);
    return played;
  };
  return {
    modelId: first.model,
    run: recording.run,
    latency,
    kind: first.kind,
    take: ({ run, turn }, model, request, calls) => {
      const played = playedBy(run);
      const done = calls ?? played.used;
      const refuse = (what: string, quoted = what): never => {
        played.problems.push(`turn ${turn}: ${quoted}`);
        throw new ScriptError(`The recording of ${recording.run} was left in turn ${turn}: ${what}`);
      };
      const number = done.get(turn) ?? 0;
      const exchange = turns.get(turn)?.[number];
      // A prompt that is refused for its length is compacted as one of the turn before: what was recorded later is not skipped yet.
      const earlier = exchange === undefined ? recording.exchanges : before(recording.exchanges, exchange);
      const skipped = [...Map.groupBy(earlier, (each) => each.turn)].find(
        ([each, { length }]) => each < turn && (done.get(each) ?? 0) < length,
      );
      if (skipped !== undefined && done.size > 0) refuse(unusedIn(skipped, done));
      if (exchange === undefined) return refuse(`call ${number + 1} of this turn is not recorded${torn(recording)}`);
      played.used.set(turn, Math.max(number + 1, played.used.get(turn) ?? 0));
      if (exchange.model !== model) refuse(`model differs: recorded ${exchange.model}, asked ${model}`);
      const [live, now] = [createMasker(kinds), createMasker(kinds)];
      // Masked before it is ordered, as the recorded one was: a text with a mask in it may be JSON no more.
      const asked = comparable(maskRequest(request.body, live), run, now);
      const expected = expectedOf(exchange);
      const valueOf = (masked: string | undefined) => live.valueOf(now.valueOf(masked ?? '') ?? '');
      if (expected === null) return { exchange, valueOf };
      const then = createMasker(kinds);
      const there = comparable(expected.body, recording.run, then);
      const difference = firstDifference(expected.place, request.place, 'url') ?? firstDifference(there, asked);
      if (difference !== null) refuse(describeDifference(difference), quoteDifference(difference));
      return { exchange, valueOf: (masked) => valueOf(then.renumbered(masked)) };
    },
    assertUsed: () => {
      const problems = [...runs].flatMap(([run, played]) => [
        ...played.problems.map((problem) => `run ${run}, ${problem}`),
        ...[...turns]
          .filter(([turn, { length }]) => (played.used.get(turn) ?? 0) < length)
          .map((turn) => `run ${run}: ${unusedIn(turn, played.used)}`),
      ]);
      if (runs.size === 0) problems.push('no run has played it');
      if (problems.length > 0) throw new ScriptError(`The recording of ${recording.run}: ${problems.join('; ')}`);
    },
  };
}

/**
 * Names the kinds that a person gave.
 *
 * @throws TypeError for a name that cannot stand in a mask.
 */
export function kindsOf(mask: Readonly<Record<string, RegExp>>): readonly MaskKind[] {
  return Object.entries(mask).map(([name, pattern]) => {
    if (!/^[a-z]{1,20}$/.test(name))
      throw new TypeError(`The name of a mask has 1 to 20 lower-case letters, got ${name}`);
    const flags = pattern.flags.replaceAll(/[gy]/g, '');
    return { name, pattern: new RegExp(pattern.source, `${flags}g`) };
  });
}

/** A worker that ended while it wrote took a line with it, and with a request its reply. */
function torn({ tornLines }: Recording): string {
  if (tornLines === 0) return '';
  return `; ${tornLines} ${tornLines === 1 ? 'line' : 'lines'} of the recording cannot be read`;
}

function before(exchanges: readonly Exchange[], exchange: Exchange): readonly Exchange[] {
  return exchanges.slice(0, exchanges.indexOf(exchange));
}

function unusedIn([turn, exchanges]: readonly [number, readonly Exchange[]], used: PlayedCalls): string {
  const left = exchanges.length - (used.get(turn) ?? 0);
  return `${left} recorded ${left === 1 ? 'reply' : 'replies'} of turn ${turn} ${left === 1 ? 'was' : 'were'} not used`;
}

function expectedOf(exchange: Exchange): PlayedRequest | null {
  if (exchange.kind === 'wire') {
    const { url, body } = exchange.asked.request;
    return { body, place: lastOf(url) };
  }
  const { request } = exchange.kept;
  return request === null ? null : { body: request as JsonValue, place: null };
}

/** The end of the address says which of a provider's services was asked; the rest is where it is served. */
export function lastOf(url: string): string {
  return new URL(url).pathname.split('/').at(-1) ?? '';
}

/** Brings a request into the form in which it is compared: without the run's own id, its caller, and the order of members. */
function comparable(body: JsonValue, run: string, masker: Masker): JsonValue {
  // A run's id stands in the keys and links that tools give back.
  const own = JSON.parse(JSON.stringify(body).replaceAll(run, '[run]')) as JsonValue;
  const members = Object.entries(isObject(own) ? own : { body: own }).filter(([name]) => !CALLERS_OWN.has(name));
  return maskRequest(inOrder(withoutCallIds(Object.fromEntries(members), new Map())), masker);
}

/** Members that name a call of a tool in its result. */
const CALL_ID = /^(?:call_id|tool_call_id|tool_use_id|toolCallId|toolUseId)$/;

/** Members of which a call, or its result, has one beside its id. */
const OF_CALL = ['args', 'arguments', 'function', 'input', 'response'];

/** Numbers the calls of tools in the place of their ids: where a provider gives none, each run has others. */
function withoutCallIds(value: JsonValue, numbers: Map<string, string>): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => withoutCallIds(item, numbers));
  if (!isObject(value)) return value;
  const isCall = OF_CALL.some((name) => value[name] !== undefined);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, JsonValue]) => {
      if (typeof member !== 'string' || !(CALL_ID.test(name) || (isCall && name === 'id'))) {
        return [name, withoutCallIds(member, numbers)];
      }
      const number = numbers.get(member) ?? `call ${numbers.size + 1}`;
      numbers.set(member, number);
      return [name, number];
    }),
  );
}

/** Orders the members of objects, also of those that stand in a text: a result that was stored comes back in that order. */
function inOrder(value: JsonValue): JsonValue {
  if (typeof value === 'string') return /^[[{]/.test(value) ? textInOrder(value) : value;
  if (Array.isArray(value)) return value.map((item: JsonValue) => inOrder(item));
  if (!isObject(value)) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, inOrder(member)]));
}

function textInOrder(text: string): string {
  try {
    return canonicalJson(JSON.parse(text));
  } catch {
    return text;
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
