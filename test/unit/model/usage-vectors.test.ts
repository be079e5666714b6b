// Goal: what providers have written about their usage is read and charged as their price lists say, to the last digit.
// Method: recorded replies of third parties with their tokens and cost, where these cases are at hand; exact decimals, no floats.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { priceOfModel } from '../../../src/domain/model/price-table.ts';
import { costParts } from '../../../src/domain/model/price.ts';
import { readTokenCounts, readUsage, usageExtractor } from '../../../src/domain/model/usage-reading.ts';

type Vector = {
  readonly provider: string;
  readonly api: string;
  readonly model: string;
  readonly body: unknown;
  readonly tokens: Readonly<Record<string, number>>;
  readonly usd_input: string;
  readonly usd_output: string;
  readonly agree_npm?: boolean;
  readonly agree_litellm?: boolean;
};

/** What is compared: counts by their names, and money in pico-dollars. */
type Bill = { readonly tokens: Readonly<Record<string, number>>; readonly input: bigint; readonly output: bigint };

describe('recorded usage', () => {
  const file = join(process.env['PERDURE_CASES'] ?? '../shared/cases', 'cost/usage_vectors.json');
  const vectors = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[]) : [];

  it('costs what every table says on which the tables agree', function () {
    if (vectors.length === 0) this.skip();
    const agreed = vectors.filter((vector) => vector.agree_npm === true && vector.agree_litellm === true);
    assert.ok(agreed.length >= 100, `${agreed.length}`);
    for (const vector of agreed) assert.deepEqual(billOf(vector), expectedOf(vector), nameOf(vector));
  });

  it('costs what one table says where another differs or is silent', function () {
    if (vectors.length === 0) this.skip();
    const others = vectors.filter((vector) => vector.agree_npm !== true || vector.agree_litellm !== true);
    const rows = others.map((vector) => {
      const [ours, theirs] = [billOf(vector), expectedOf(vector)];
      const isSame = JSON.stringify(ours, plain) === JSON.stringify(theirs, plain);
      const why =
        vector.agree_litellm === false ? 'a second table has another price' : 'a second table does not have it';
      return { isSame, line: [nameOf(vector), show(ours), show(theirs), why].join(' | ') };
    });
    const differing = rows.filter(({ isSame }) => !isSame).map(({ line }) => line);
    // The table for people: what differs, with our cost, theirs, and why there is no agreement on it.
    if (differing.length > 0) process.stdout.write(`${differing.join('\n')}\n`);
    process.stdout.write(`      ${others.length} without agreement: ${differing.length} cost something else here\n`);
    assert.deepEqual(differing, []);
  });
});

function billOf({ provider, api, model, body }: Vector): Bill | null {
  const extractor = usageExtractor(provider, api);
  const counts = extractor === null ? null : readTokenCounts(extractor, body);
  const usage = readUsage(provider, api, body);
  const price = priceOfModel(provider, model);
  if (counts === null || usage === null || price === null) return null;
  const { input, output } = costParts(price, usage);
  return { tokens: withoutZeros(counts), input, output };
}

function expectedOf({ tokens, usd_input, usd_output }: Vector): Bill {
  return { tokens: withoutZeros(tokens), input: pico(usd_input), output: pico(usd_output) };
}

function withoutZeros(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Reads a decimal as whole pico-dollars, `4E-7` too; what is finer than one fails. */
function pico(usd: string): bigint {
  const [mantissa = '', exponent = '0'] = usd.split(/e/i);
  const [whole = '', decimals = ''] = mantissa.split('.');
  const zeros = 12 + Number(exponent) - decimals.length;
  assert.ok(zeros >= 0, `${usd} USD is finer than a pico-dollar`);
  return BigInt(`${whole}${decimals}${'0'.repeat(zeros)}`);
}

function nameOf({ provider, api, model }: Vector): string {
  return `${provider} ${api} ${model}`;
}

function show(bill: Bill | null): string {
  return bill === null ? 'nothing' : `${bill.input} + ${bill.output} ${JSON.stringify(bill.tokens)}`;
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
