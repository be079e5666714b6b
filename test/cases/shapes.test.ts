// Goal: whatever calls a model makes, in whatever order and with whatever arguments, each is made once and answered, on every wire.
// Method: conversations of our own in the shapes that are easily got wrong, against a provider that looks at every request.
import type { BfclCall, BfclCase } from '../support/bfcl/cases.ts';
import { BFCL_WIRES, type BfclStage, type BfclWire, startBfclStage } from '../support/bfcl/bfcl-stage.ts';
import { inParallel } from '../support/tau/play-case.ts';

const LONG_NAME = `shelf.section-${'of.'.repeat(14)}find`;

const tools = ['look', 'note', 'shelf.list', LONG_NAME].map((name) => ({
  name,
  description: 'Does what it is called.',
  parameters: { type: 'object', properties: {} },
}));

const look = (id: string, result = `found ${id}`): BfclCall => ({ name: 'look', arguments: { id }, result });
const note = (given: BfclCall['arguments']): BfclCall => ({ name: 'note', arguments: given, result: 'noted' });
const times = (count: number, call: (index: number) => BfclCall): BfclCall[] =>
  Array.from({ length: count }, (_, n) => call(n));

/** Messages with the calls that each of them needs. */
const SHAPES: Readonly<Record<string, readonly (readonly BfclCall[])[]>> = {
  'nothing to call': [[], [look('a')], [], []],
  'no arguments and no result': [[{ name: 'shelf.list', arguments: {}, result: '' }], [note({})]],
  'names that no provider takes': [
    [
      { name: LONG_NAME, arguments: { a: 1 }, result: 'x' },
      { name: 'shelf.list', arguments: {}, result: '[]' },
    ],
  ],
  'nested and odd arguments': [
    [
      note({
        deep: { a: [1, 2.5, { b: null, c: [[]], 'ключ.x': '' }], yes: true },
        small: -0.001,
        big: 9_007_199_254_740_991,
      }),
      look('naïve 日本語 😀 \u2028 "q" \\ \n\t end <b>&amp;</b> ${x} __proto__'),
      note({ text: 'é'.repeat(3_000) }),
    ],
  ],
  'the same read again and again': [
    [look('a'), look('a'), look('a'), look('a'), look('b')],
    [look('a'), look('b')],
  ],
  'the same write again and again': [[...times(5, () => note({ w: 1 }))], [note({ w: 1 })]],
  'all read twice before a write': [
    [...['a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'].map((id) => look(id)), note({ w: 2 })],
    [],
  ],
  'a tool that is not there': [[{ name: 'think', arguments: { of: 'it' } }, look('a')], [look('b')]],
  'very many': [times(36, (n) => (n % 3 === 2 ? note({ n }) : look(`${n}`)))],
};

const cases: readonly BfclCase[] = Object.entries(SHAPES).map(([id, turns]) => ({
  id,
  tools,
  turns: turns.map((calls, turn) => ({ user: `Please, ${id} (${turn}).`, calls })),
}));

describe('shapes of calls', function () {
  this.timeout(180_000);
  let stage: BfclStage;

  before(async () => {
    stage = await startBfclStage(cases);
  });
  after(() => stage?.stop());

  for (const [place, wire] of (Object.keys(BFCL_WIRES) as readonly BfclWire[]).entries()) {
    it(`are played on the wire ${wire}`, () =>
      inParallel([...cases.keys()], 4, (index) => {
        // More calls than one reply may have are made one by one.
        const isLong = cases[index]?.turns.some(({ calls }) => calls.length > 32) === true;
        return stage.play(index, wire, isLong || (index + place) % 2 === 0 ? 'one-by-one' : 'at-once');
      }));
  }
});
