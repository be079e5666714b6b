// Goal: conversations of several turns and calls in parallel come out right on every wire: each call made once, paired with its own result.
// Method: a sample of published cases against a provider that plays their calls over HTTP and looks at every request; tools of the test.
import { type BfclCase, bfclCases, hasBfclCases } from '../support/bfcl/cases.ts';
import { BFCL_WIRES, type BfclStage, type BfclWire, startBfclStage } from '../support/bfcl/bfcl-stage.ts';
import { inParallel } from '../support/tau/play-case.ts';

const callsOf = ({ turns }: BfclCase): number => Math.max(...turns.map(({ calls }) => calls.length));
const lengthOf = (each: BfclCase): number => JSON.stringify(each.turns).length;

/** Of each kind those with the most turns, the most calls in one of them, and the longest arguments; and a turn without calls where there is one. */
function sample(): readonly BfclCase[] {
  const all = bfclCases();
  const kinds = [all.filter(({ turns }) => turns.length > 1), all.filter(({ turns }) => turns.length === 1)];
  const most = kinds.flatMap((kind) =>
    [({ turns }: BfclCase) => turns.length, callsOf, lengthOf].flatMap((of) =>
      kind.toSorted((one, other) => of(other) - of(one)).slice(0, 1),
    ),
  );
  const quiet = all.filter(({ turns }) => turns.some(({ calls }) => calls.length === 0)).slice(0, 1);
  return [...new Set([...most, ...quiet])];
}

(hasBfclCases ? describe : describe.skip)('conversations and parallel calls (PERDURE_CASES)', function () {
  this.timeout(120_000);
  const cases = sample();
  let stage: BfclStage;

  before(async () => {
    stage = await startBfclStage(cases);
  });
  after(() => stage?.stop());

  for (const wire of Object.keys(BFCL_WIRES) as readonly BfclWire[]) {
    it(`are played on the wire ${wire}`, () =>
      inParallel([...cases.keys()], 4, (index) => stage.play(index, wire, index % 2 === 0 ? 'one-by-one' : 'at-once')));
  }
});
