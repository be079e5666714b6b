// Goal: all published conversations and parallel calls come out right on every wire, called one by one and at once.
// Method: as in the sample of the default suite, with all cases.
import assert from 'node:assert/strict';
import { bfclCases, hasBfclCases } from '../support/bfcl/cases.ts';
import { BFCL_WIRES, type BfclStage, type BfclWire, startBfclStage } from '../support/bfcl/bfcl-stage.ts';
import { inParallel } from '../support/tau/play-case.ts';

/** Runs at once: more only wait for each other. */
const AT_ONCE = 8;

(hasBfclCases ? describe : describe.skip)('all conversations and parallel calls (PERDURE_CASES)', function () {
  this.timeout(900_000);
  const cases = bfclCases();
  let stage: BfclStage;

  before(async () => {
    assert.ok(cases.length > 0);
    stage = await startBfclStage(cases);
  });
  after(() => stage?.stop());

  for (const [place, wire] of (Object.keys(BFCL_WIRES) as readonly BfclWire[]).entries()) {
    it(`are played on the wire ${wire}`, () =>
      inParallel([...cases.keys()], AT_ONCE, (index) =>
        stage.play(index, wire, (index + place) % 2 === 0 ? 'one-by-one' : 'at-once'),
      ));
  }
});
