import type { CachedRequest } from './caching-server.ts';

/** What a token costs, in tokens of fresh input. */
export type Weights = { readonly fresh: number; readonly write: number; readonly read: number };

/** Anthropic with five minutes, and OpenAI's models before 5.6, whose writes cost what input costs. */
export const WEIGHTS = {
  anthropic: { fresh: 1, write: 1.25, read: 0.1 },
  openai: { fresh: 1, write: 1, read: 0.1 },
} as const satisfies Record<string, Weights>;

export type CostRow = {
  readonly turns: number;
  readonly fresh: number;
  readonly written: number;
  readonly read: number;
  readonly charged: number;
  /** The least that a policy which knows the future can pay for these very requests. */
  readonly bound: number;
  readonly ratio: number;
  /** The same where compaction costs nothing: no summariser, and nothing that was said is new again. */
  readonly bare: number;
  readonly bareRatio: number;
  /** Input of the summaries' own calls that was not read from the cache. */
  readonly summaries: number;
  /** Tokens that compaction made new again. */
  readonly rewritten: number;
};

/**
 * Holds what was charged for the input of a run's first so many turns against two bounds, in tokens of fresh input.
 *
 * `bound`: each block of a prompt is charged, at each request, as fresh, as written, or as read, and read only where an earlier request begins with the same blocks. A
 * block of t tokens that k requests share with all that stands before it costs at least t × min(k × fresh, write + (k − 1) × read). Summed over all
 * requests, the summariser's too, no caching whatever pays less for them.
 *
 * `bare`: the same, with blocks told apart by what they say and not by where they stand, and without the summariser's requests. It is what the turns would cost if a
 * compaction moved text for nothing.
 */
export function costOverBound(requests: readonly CachedRequest[], turns: number, weights: Weights): CostRow {
  const all = upTo(requests, turns);
  const asked = all.filter(({ isSummary }) => !isSummary);
  const sum = (count: (request: CachedRequest) => number): number =>
    all.reduce((total, each) => total + count(each), 0);
  const [fresh, written, read] = [
    sum(({ charged }) => charged.fresh),
    sum(({ charged }) => charged.written),
    sum(({ charged }) => charged.read),
  ];
  const charged = fresh * weights.fresh + written * weights.write + read * weights.read;
  const bound = leastFor(all, ({ hashes }) => hashes, weights);
  const bare = leastFor(asked, ({ contents }) => contents, weights);
  return {
    turns: asked.length,
    fresh,
    written,
    read,
    charged: Math.round(charged),
    bound: Math.round(bound),
    ratio: charged / bound,
    bare: Math.round(bare),
    bareRatio: charged / bare,
    summaries: sum(({ isSummary, charged: { fresh: own, written: kept } }) => (isSummary ? own + kept : 0)),
    rewritten: rewrittenIn(asked),
  };
}

function upTo(requests: readonly CachedRequest[], turns: number): readonly CachedRequest[] {
  let made = 0;
  const end = requests.findIndex(({ isSummary }) => !isSummary && (made += 1) > turns);
  return end === -1 ? requests : requests.slice(0, end);
}

function totalOf({ prefixes }: CachedRequest): number {
  return prefixes.tokens.at(-1) ?? 0;
}

function leastFor(
  requests: readonly CachedRequest[],
  namesOf: (prefixes: CachedRequest['prefixes']) => readonly string[],
  { fresh, write, read }: Weights,
): number {
  const blocks = new Map<string, { readonly tokens: number; readonly times: number }>();
  for (const { prefixes } of requests) {
    for (const [index, name] of namesOf(prefixes).entries()) {
      const tokens = (prefixes.tokens[index] ?? 0) - (prefixes.tokens[index - 1] ?? 0);
      blocks.set(name, { tokens, times: (blocks.get(name)?.times ?? 0) + 1 });
    }
  }
  return [...blocks.values()].reduce(
    (least, { tokens, times }) => least + tokens * Math.min(times * fresh, write + (times - 1) * read),
    0,
  );
}

/** Counts what was new in prompts that do not begin with the whole one before them, as they do where nothing is compacted. */
function rewrittenIn(asked: readonly CachedRequest[]): number {
  const seen = new Set<string>();
  let before = 0;
  let rewritten = 0;
  for (const request of asked) {
    const { hashes, tokens } = request.prefixes;
    const known = tokens[hashes.findLastIndex((hash) => seen.has(hash))] ?? 0;
    for (const hash of hashes) seen.add(hash);
    if (known < before) rewritten += totalOf(request) - known;
    before = totalOf(request);
  }
  return rewritten;
}

/** Writes the rows as a table. */
export function formatCosts(title: string, rows: readonly CostRow[]): string {
  const head = 'turns,fresh,written,read,charged,bound,ratio,bare,ratio,cached,summaries,rewritten'.split(',');
  const lines = rows.map((row) => [
    ...[row.turns, row.fresh, row.written, row.read, row.charged, row.bound].map(inGroups),
    row.ratio.toFixed(3),
    inGroups(row.bare),
    row.bareRatio.toFixed(3),
    `${((100 * row.read) / (row.fresh + row.written + row.read)).toFixed(1)} %`,
    ...[row.summaries, row.rewritten].map(inGroups),
  ]);
  const width = (column: number): number => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0));
  const write = (line: readonly string[]): string =>
    line.map((cell, column) => cell.padStart(width(column))).join('  ');
  return [title, write(head), ...lines.map(write)].map((line) => `      ${line}`).join('\n');
}

function inGroups(count: number): string {
  return count.toLocaleString('en-US');
}
