/**
 * Goal: the usage of every provider that the table knows is read as the package reads it from which the table is made.
 * Method: replies with random counts at the places where each provider writes them, some left out, read by both.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { extractUsage, findProvider } from '@pydantic/genai-prices';
import extractors from '../../src/domain/model/usage-extractors.generated.json' with { type: 'json' };
import { readTokenCounts, type UsageExtractor } from '../../src/domain/model/usage-reading.ts';
import { replyOf } from '../support/provider-reply.ts';

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
