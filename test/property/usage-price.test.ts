/**
 * Goal: a reply of any provider costs what the package says from which the table is made: the same tokens, and the same money.
 * Method: replies as each interface of each provider writes them, with random counts and what is optional left out at random, for every model of
 * the package at random times; both read them and price them. The package counts in floats, so the last digit that both have is compared.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { calcPrice, extractUsage, findProvider, waitForUpdate } from '@pydantic/genai-prices';
import extractors from '../../src/domain/model/usage-extractors.generated.json' with { type: 'json' };
import { billReply } from '../../src/domain/model/bill-reply.ts';
import { readTokenCounts, type UsageExtractor, usageOf } from '../../src/domain/model/usage-reading.ts';
import { isPossible } from '../../src/domain/model/usage.ts';
import { replyOf } from '../support/provider-reply.ts';

/** Counts that have nothing to do with tokens. */
const OTHERS = /(?:seconds|pages|messages)$/;

type Bill = { readonly tokens: object; readonly input: number; readonly output: number; readonly other: number };

const FIRST_DAY = Date.parse('2025-01-01');
const LAST_DAY = Date.parse('2027-06-01');
const SEED = 20_261_123;

/** Replies of each interface, and the least of each model. */
const REPLIES = 400;
const RUNS_MIN = 8;

describe('the price of usage', () => {
  for (const extractor of extractors as readonly UsageExtractor[]) {
    const { provider, api } = extractor;
    it(`of ${provider} ${api}`, async () => {
      const known = findProvider({ providerId: provider }) ?? assert.fail(provider);
      const names = namesOf(provider, (await waitForUpdate()) ?? []);
      let compared = 0;
      for (const name of names) {
        fc.assert(
          fc.property(countsOf(extractor), fc.integer({ min: FIRST_DAY, max: LAST_DAY }), (counts, at) => {
            const body = replyOf(extractor, counts);
            const expected = theirs(known, { body, api, name, at });
            if (expected === null || isContradiction(extractor, body)) return;
            const actual = ours(extractor, { body, name, at });
            const label = `${provider} ${api} ${name} ${new Date(at).toISOString()} ${JSON.stringify(body)}`;
            assert.deepEqual(actual?.tokens, expected.tokens, label);
            for (const part of ['input', 'output', 'other'] as const) {
              assert.ok(
                isSame(actual[part], expected[part]),
                `${label}: ${part} ${actual[part]}, not ${expected[part]}`,
              );
            }
            compared += 1;
          }),
          { numRuns: Math.max(RUNS_MIN, Math.ceil(REPLIES / names.length)), seed: SEED },
        );
      }
      assert.ok(compared > 0, 'nothing was compared');
    });
  }
});

type Asked = { readonly body: unknown; readonly name: string; readonly at: number };

function ours({ provider, api }: UsageExtractor, { body, name, at }: Asked): Bill | null {
  const { tokens, usage, cost } = billReply({ provider, api, model: name, body, at });
  assert.ok(usage === null || isPossible(usage));
  if (tokens === null || cost === null) return null;
  const { input, output, other } = cost;
  return { tokens, input: Number(input) / 1e12, output: Number(output) / 1e12, other: Number(other) / 1e12 };
}

/** Null where the package throws because the counts contradict each other, and for models that are not paid by the token. */
function theirs(
  provider: Parameters<typeof extractUsage>[0],
  { body, api, name, at }: Asked & { readonly api: string },
): Bill | null {
  try {
    const { usage } = extractUsage(provider, body, api);
    const tokens = Object.fromEntries(Object.entries(usage).filter(([kind]) => !OTHERS.test(kind)));
    const price = calcPrice(tokens, name, { providerId: provider.id, timestamp: new Date(at) });
    if (price === null || !Object.keys(price.model_price).some((key) => key.endsWith('_mtok'))) return null;
    const { input_price: input, output_price: output, total_price: total } = price;
    return { tokens, input, output, other: total - input - output };
  } catch {
    return null;
  }
}

/** A part that is larger than its whole is not believed here. The package minds it only where the part has a price. */
function isContradiction(extractor: UsageExtractor, body: unknown): boolean {
  const counts = readTokenCounts(extractor, body);
  return counts !== null && !isPossible(usageOf(counts));
}

/** Floats of a few terms differ in their last digits; a price that is finer than a pico-dollar a token is rounded up here. */
function isSame(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-12 + 1e-9 * Math.abs(b) || (a > b && a - b <= 1e-5 * b);
}

type Named = { readonly id: string; readonly models: readonly { readonly id: string; readonly match: object }[] };

/** Names that models can be called by: their ids, and the words of their rules. */
function namesOf(provider: string, all: readonly Named[]): readonly string[] {
  const models = all.find(({ id }) => id === provider)?.models ?? [];
  return models.map(({ id, match }) => wordIn(match) ?? id);
}

function wordIn(rule: object): string | null {
  const [value] = Object.values(rule) as unknown[];
  if (typeof value === 'string') return 'regex' in rule ? null : value;
  if (!Array.isArray(value)) return null;
  return (value as readonly object[]).map(wordIn).find((word) => word !== null) ?? null;
}

/** Counts that can be: a part of a part is smaller than the part, and that than the whole. */
function countsOf({ reads }: UsageExtractor): fc.Arbitrary<readonly (number | null)[]> {
  return fc.tuple(...reads.map(({ to, required }) => fc.option(rangeOf(to), { nil: null, freq: required ? 40 : 3 })));
}

function rangeOf(to: string): fc.Arbitrary<number> {
  if (to === 'input_tokens' || to === 'output_tokens') {
    return fc.oneof(fc.integer({ min: 2_000, max: 5_000 }), fc.integer({ min: 25_000, max: 700_000 }));
  }
  const isPartOfPart = /^cache_(?:text|audio|image|video)_|_(?:5m|1h)_|_tool_/.test(to);
  return isPartOfPart ? fc.nat({ max: 90 }) : fc.oneof(fc.constant(0), fc.integer({ min: 500, max: 2_000 }));
}
