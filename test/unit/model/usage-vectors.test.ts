// Goal: what providers have written about their usage is read and charged as their price lists say, to the last digit.
// Method: recorded replies of third parties with their tokens and cost, where these cases are at hand; exact decimals, no floats.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { billReply } from '../../../src/domain/model/bill-reply.ts';

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
    const differing = others.filter((vector) => !isDeepStrictEqual(billOf(vector), expectedOf(vector)));
    const reasons = Map.groupBy(others, (vector) => `${nameOf(vector)}: ${reasonOf(vector, vectors)}`);
    const lines = [
      ...[...reasons].map(([reason, cases]) => `${String(cases.length).padStart(3)} ${reason}`).toSorted(),
      ...differing.map((vector) => `    ${nameOf(vector)}: ${show(billOf(vector))}, not ${show(expectedOf(vector))}`),
      `${others.length} without agreement: ${differing.length} cost something else here`,
    ];
    process.stdout.write(`${lines.map((line) => `      ${line}`).join('\n')}\n`);
    assert.deepEqual(differing, []);
  });
});

/** Why a case is not among those on which the tables agree. */
function reasonOf({ agree_npm, agree_litellm, model, tokens }: Vector, all: readonly Vector[]): string {
  if (agree_npm !== true) return 'the first table has another price elsewhere';
  if (agree_litellm === false) return 'a second table has another price';
  const isKnown = all.some((other) => other.model === model && other.agree_litellm !== undefined);
  if (!isKnown) return 'a second table does not have the model';
  const hasMedia = Object.keys(tokens).some((kind) => /audio|image|video/.test(kind));
  return hasMedia ? 'a second table does not tell sound and pictures from words' : 'not compared with a second table';
}

function billOf({ provider, api, model, body }: Vector): Bill | null {
  const { tokens, cost } = billReply({ provider, api, model, body });
  if (tokens === null || cost === null) return null;
  return { tokens: withoutZeros(tokens), input: cost.input, output: cost.output };
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
