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
  readonly bound: number;
  readonly ratio: number;
  /** Input of the summaries' own calls, which is in `charged` and in `bound`. */
  readonly summaries: number;
  /** Tokens that compaction made new again, which are in `charged` and in `bound`. */
  readonly rewritten: number;
};

/**
 * Holds what was charged for the input of a run's first so many turns against the least that these prompts can cost, weighted by price.
 *
 * The bound is what a cache without limits would charge: a token is written once, and read once at every later turn whose prompt begins with the same tokens. A prompt
 * after a compaction begins with fewer of them: what it has anew is written, as any policy must. A summary is asked for once and shares its beginning with
 * nothing, so it is fresh.
 */
export function costOverBound(requests: readonly CachedRequest[], turns: number, weights: Weights): CostRow {
  const seen = new Set<string>();
  const sum = { turns: 0, fresh: 0, written: 0, read: 0, bound: 0, summaries: 0, rewritten: 0 };
  let before = 0;
  for (const { prefixes, charged, isSummary } of requests) {
    if (!isSummary && sum.turns === turns) break;
    const total = prefixes.tokens.at(-1) ?? 0;
    sum.fresh += charged.fresh;
    sum.written += charged.written;
    sum.read += charged.read;
    if (isSummary) {
      sum.summaries += total;
      sum.bound += total * weights.fresh;
      continue;
    }
    const known = prefixes.tokens[prefixes.hashes.findLastIndex((hash) => seen.has(hash))] ?? 0;
    for (const hash of prefixes.hashes) seen.add(hash);
    sum.bound += known * weights.read + (total - known) * weights.write;
    // A prompt that only grows begins with the whole one before it.
    sum.rewritten += known < before ? total - known : 0;
    before = total;
    sum.turns += 1;
  }
  const charged = sum.fresh * weights.fresh + sum.written * weights.write + sum.read * weights.read;
  return { ...sum, charged: Math.round(charged), bound: Math.round(sum.bound), ratio: charged / sum.bound };
}

/** Writes the rows as a table. */
export function formatCosts(title: string, rows: readonly CostRow[]): string {
  const head = ['turns', 'fresh', 'written', 'read', 'charged', 'bound', 'ratio', 'cached', 'summaries', 'rewritten'];
  const lines = rows.map(({ turns, fresh, written, read, charged, bound, ratio, summaries, rewritten }) => [
    ...[turns, fresh, written, read, charged, bound].map((count) => count.toLocaleString('en-US')),
    ratio.toFixed(3),
    `${((100 * read) / (fresh + written + read)).toFixed(1)} %`,
    ...[summaries, rewritten].map((count) => count.toLocaleString('en-US')),
  ]);
  const width = (column: number): number => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0));
  const write = (line: readonly string[]): string =>
    line.map((cell, column) => cell.padStart(width(column))).join('  ');
  return [title, write(head), ...lines.map(write)].map((line) => `      ${line}`).join('\n');
}
