/**
 * Goal: the usage of every provider that the table knows is read as the package reads it from which the table is made.
 * Method: replies with random counts at the places where each provider writes them, some left out, read by both.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { extractUsage, findProvider } from '@pydantic/genai-prices';
import extractors from '../../src/domain/model/usage-extractors.generated.json' with { type: 'json' };
import { readTokenCounts, readUsage, type UsageExtractor } from '../../src/domain/model/usage-reading.ts';
import { isPossible } from '../../src/domain/model/usage.ts';

/** Counts that have nothing to do with tokens. */
const OTHERS = /(?:seconds|pages|messages)$/;

const count = fc.option(fc.nat({ max: 5_000_000 }), { nil: null, freq: 4 });

describe('reading usage', () => {
  for (const extractor of extractors as readonly UsageExtractor[]) {
    const { provider, api, reads } = extractor;
    it(`of ${provider} ${api}`, () => {
      const known = findProvider({ providerId: provider }) ?? assert.fail(provider);
      fc.assert(
        fc.property(fc.array(count, { minLength: reads.length, maxLength: reads.length }), (counts) => {
          const body = replyOf(extractor, counts);
          assert.deepEqual(readTokenCounts(extractor, body), theirs(known, body, api));
          const usage = readUsage(provider, api, body);
          assert.ok(usage === null || isPossible(usage));
        }),
        { numRuns: 30 },
      );
    });
  }
});

/** What the package reads; null where it throws because something is missing. */
function theirs(provider: Parameters<typeof extractUsage>[0], body: unknown, api: string): object | null {
  try {
    const { usage } = extractUsage(provider, body, api);
    const tokens = Object.entries(usage).filter(([kind]) => !OTHERS.test(kind));
    return tokens.length === 0 ? null : Object.fromEntries(tokens);
  } catch {
    return null;
  }
}

type Tree = { [name: string]: Tree | number | string | Tree[] };

/** Writes counts at the paths of an extractor. Lists get an entry for each name that is asked for. */
function replyOf({ root, reads }: UsageExtractor, counts: readonly (number | null)[]): Tree {
  const reply: Tree = {};
  let usage = reply;
  for (const name of root) usage = usage[name] = (usage[name] as Tree | undefined) ?? {};
  // One interface is paid by the second too, and the package reads no tokens of it without.
  usage['billable_audio_seconds'] = 1;
  for (const [index, { path }] of reads.entries()) {
    const value = counts[index] ?? null;
    if (value === null) continue;
    let place = usage;
    for (const [depth, step] of path.entries()) {
      if (typeof step !== 'string') continue;
      const next = path[depth + 1];
      if (next === undefined) place[step] = value;
      else if (typeof next === 'string') place = place[step] = (place[step] as Tree | undefined) ?? {};
      else {
        const name = (next.match as { readonly equals: string }).equals;
        const list = (place[step] = (place[step] as Tree[] | undefined) ?? []);
        const entry = list.find((each) => each[next.field] === name) ?? {};
        if (!list.includes(entry)) list.push(Object.assign(entry, { [next.field]: name }));
        place = entry;
      }
    }
  }
  return reply;
}
