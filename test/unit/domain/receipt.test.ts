// Goal: a receipt adds up only when every row agrees with every other, and it names the one that does not.
// Method: rows that agree, and each of the ways in which one can be wrong.
import assert from 'node:assert/strict';
import {
  addUp,
  type ReceiptAttempt,
  type ReceiptReservation,
  type ReceiptRows,
} from '../../../src/domain/run/receipt.ts';

/** Above what a float can tell apart: a digit that is lost shows. */
const BIG = '9007199254740993';

const reservation = (given: Partial<ReceiptReservation> = {}): ReceiptReservation => ({
  id: 'b',
  state: 'settled',
  worstPico: '500',
  worstTokens: 50,
  actualPico: '7',
  actualTokens: 3,
  ...given,
});

const attempt = (given: Partial<ReceiptAttempt> = {}): ReceiptAttempt => ({
  id: 'a',
  turn: 1,
  callIndex: null,
  kind: 'model',
  name: 'openai:m',
  attempt: 1,
  worker: 'w-1',
  openedAt: new Date(0),
  outcome: 'replied',
  cause: null,
  message: null,
  inputTokens: 2,
  cacheReadTokens: 1,
  cacheWriteTokens: 0,
  outputTokens: 1,
  reasoningTokens: 0,
  costPico: '7',
  priceVersion: 'p',
  isCostSimulated: false,
  reservation: reservation(),
  ...given,
});

const silent = { inputTokens: null, outputTokens: null, costPico: null };
const killed = attempt({
  id: 'k',
  ...silent,
  outcome: 'killed',
  reservation: reservation({ id: 'k', state: 'held', actualPico: null, actualTokens: null }),
});
const tool = attempt({ id: 't', kind: 'tool', ...silent, reservation: null });
const account = { capPico: '1000', spentPico: '7', spentTokens: 3, heldPico: '500', heldTokens: 50 };
const good: ReceiptRows = { runId: 'r', endCostPico: '7', account, attempts: [attempt(), killed, tool] };

describe('a receipt', () => {
  it('sums attempts by the state of their reservations', () => {
    assert.deepEqual(addUp(good), {
      states: [
        { state: 'settled', attempts: 1, tokens: 3, pico: '7' },
        { state: 'held', attempts: 1, tokens: 50, pico: '500' },
        { state: 'reserved', attempts: 0, tokens: 0, pico: '0' },
        { state: 'released', attempts: 0, tokens: 0, pico: '0' },
      ],
      afterEndPico: '0',
      differences: [],
    });
  });

  it('loses no digit of large amounts', () => {
    const rows = [BIG, '2'].map((costPico, n) =>
      attempt({ id: `a${n}`, costPico, reservation: reservation({ id: `b${n}`, actualPico: costPico }) }),
    );
    const spent = { ...account, spentPico: '9007199254740995', spentTokens: 6, heldPico: '0', heldTokens: 0 };
    const sums = addUp({ ...good, endCostPico: BIG, account: spent, attempts: rows });
    assert.deepEqual([sums.states[0]?.pico, sums.afterEndPico, sums.differences], ['9007199254740995', '2', []]);
    const wrong = addUp({ ...good, account: { ...spent, spentPico: '9007199254740994' }, attempts: rows });
    assert.deepEqual(
      wrong.differences.map(({ row }) => row),
      ['budget account of run r'],
    );
  });

  for (const [what, rows, row, problem] of [
    [
      'an attempt that says another cost',
      { ...good, attempts: [attempt({ costPico: '8' }), killed] },
      'turn 1, openai:m, attempt 1 (a)',
      /says 8 pico-dollars, its reservation says 7/,
    ],
    [
      'an attempt that says other tokens',
      { ...good, attempts: [attempt({ inputTokens: 3 }), killed] },
      'turn 1, openai:m, attempt 1 (a)',
      /says 4 tokens, its reservation 3/,
    ],
    [
      'a cost that nothing was reserved for',
      { ...good, attempts: [attempt(), killed, { ...tool, costPico: '1' }] },
      'turn 1, openai:m, attempt 1 (t)',
      /it has no reservation/,
    ],
    [
      'a cost of an attempt that is still held',
      { ...good, attempts: [attempt(), { ...killed, costPico: '4' }] },
      'turn 1, openai:m, attempt 1 (k)',
      /its reservation says nothing/,
    ],
    [
      'a reservation without an attempt',
      { ...good, attempts: [attempt({ kind: 'unrecorded' }), killed] },
      'turn 1, openai:m, attempt 1 (a)',
      /has no attempt/,
    ],
    [
      'a settled reservation without an amount',
      { ...good, attempts: [attempt({ ...silent, reservation: reservation({ actualPico: null }) }), killed] },
      'turn 1, openai:m, attempt 1 (a)',
      /settled without an amount/,
    ],
    [
      'a released reservation with an amount',
      { ...good, attempts: [attempt(), killed, { ...tool, reservation: reservation({ state: 'released' }) }] },
      'turn 1, openai:m, attempt 1 (t)',
      /it was released/,
    ],
    [
      'an account that has spent more',
      { ...good, account: { ...account, spentPico: '8' } },
      'budget account of run r',
      /spent, in pico-dollars, it says 8; the settled attempts come to 7/,
    ],
    [
      'an account that holds less',
      { ...good, account: { ...account, heldPico: '499' } },
      'budget account of run r',
      /held, in pico-dollars, it says 499; the held and reserved attempts come to 500/,
    ],
    [
      'an account with other tokens',
      { ...good, account: { ...account, spentTokens: 2 } },
      'budget account of run r',
      /in tokens, it says 2; .* come to 3/,
    ],
    ['no account', { ...good, account: null }, 'budget account of run r', /there is none/],
    ['an end that cost more than was spent', { ...good, endCostPico: '9' }, 'end of run r', /says 9 .* spent 7/],
  ] as const satisfies readonly (readonly [string, ReceiptRows, string, RegExp])[]) {
    it(`names ${what}`, () => {
      const found = addUp(rows).differences.filter((difference) => difference.row === row);
      assert.ok(
        found.some((difference) => problem.test(difference.problem)),
        JSON.stringify(addUp(rows).differences),
      );
    });
  }
});
