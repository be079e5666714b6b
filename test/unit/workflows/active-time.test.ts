// Goal: a run is charged with the time that its attempts worked, never with an outage between an attempt's end and its telling.
// Method: a clock that the test moves, and results as activities give them.
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { measureActiveTime } from '../../../src/workflows/active-time.ts';

const HOUR_MS = 60 * 60 * 1000;

describe('measureActiveTime', () => {
  before(() => mock.timers.enable({ apis: ['Date'], now: 0 }));
  after(() => mock.timers.reset());

  for (const [what, passedMs, results, expected] of [
    ['what the attempt worked', 900, [{ ms: 700 }], 700],
    ['what the attempt worked, through an outage', HOUR_MS, [{ ms: 700 }], 700],
    ['the longest of a group at once', HOUR_MS, [{ ms: 700 }, { ms: 2_000 }], 2_000],
    ['no more than has passed', 500, [{ ms: 700 }], 500],
    ['what has passed, where an attempt did not tell', 900, [{}], 900],
    ['nothing for an activity without a result', HOUR_MS, [undefined], 0],
    ['those of a group that have a result', HOUR_MS, [{ ms: 700 }, undefined], 700],
    ['nothing for nothing', 900, [], 0],
  ] as const) {
    it(`counts ${what}`, () => {
      const activeMs = measureActiveTime();
      mock.timers.tick(passedMs);
      assert.equal(activeMs(...results), expected);
    });
  }
});
