// Goal: the rate algorithm decides as those who use it elsewhere expect.
// Method: the table of a third party's tests, in their order and on one key, and cases of our own for settlement.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gcra, type Pace, settleGcra } from '../../../src/domain/quota/gcra.ts';

const cases = process.env['PERDURE_CASES'];

type Table = {
  readonly limit: number;
  readonly emission_interval_ms: number;
  readonly cases: readonly {
    readonly now_ms: number;
    readonly volume: number;
    readonly remaining: number;
    readonly reset_ms: number;
    readonly retry_ms: number;
    readonly limited: boolean;
  }[];
};

/** A second per unit, five at once. */
const PACE: Pace = { intervalMs: 1_000, burst: 5 };

describe('gcra', () => {
  it('decides as the table of throttled and redis-cell says (PERDURE_CASES)', function () {
    if (cases === undefined) {
      console.log('      PERDURE_CASES is not set: the table of a third party is left out');
      this.skip();
    }
    const table = JSON.parse(readFileSync(join(cases, 'quota/gcra.json'), 'utf8')) as Table;
    let tat = Number.NEGATIVE_INFINITY;
    assert.ok(table.cases.length > 0);
    for (const [index, expected] of table.cases.entries()) {
      const pace = { intervalMs: table.emission_interval_ms, burst: table.limit };
      const result = gcra(pace, tat, expected.volume, expected.now_ms);
      if (result.kind === 'allowed') ({ tat } = result);
      const retryMs = result.kind === 'allowed' ? -1 : (result.retryMs ?? -1);
      const what = `case ${index}: ${JSON.stringify({ expected, result })}`;
      assert.equal(result.kind === 'limited', expected.limited, what);
      assert.equal(result.remaining, expected.remaining, what);
      // The table has milliseconds, of what may be a fraction of them.
      assert.ok(Math.abs(result.resetMs - expected.reset_ms) < 1, what);
      assert.ok(Math.abs(retryMs - expected.retry_ms) < 1, what);
    }
  });

  it('names the wait after which the cost passes, and not a millisecond less', () => {
    const denied = gcra(PACE, 10_000, 3, 6_000);
    assert.ok(denied.kind === 'limited' && denied.retryMs !== null);
    assert.equal(gcra(PACE, 10_000, 3, 6_000 + denied.retryMs - 1).kind, 'limited');
    assert.equal(gcra(PACE, 10_000, 3, 6_000 + denied.retryMs).kind, 'allowed');
  });

  it('says of a cost above the burst that no wait helps', () => {
    const denied = gcra(PACE, 0, 5.5, 1_000_000);
    assert.ok(denied.kind === 'limited');
    assert.equal(denied.retryMs, null);
  });

  it('lets a cost of nothing pass and changes nothing by it', () => {
    assert.deepEqual(gcra(PACE, 2_000, 0, 1_000), { kind: 'allowed', tat: 2_000, remaining: 4, resetMs: 1_000 });
  });

  it('takes what was never asked for, or long ago, for empty', () => {
    const idle = { remaining: 5, resetMs: 0 };
    for (const tat of [Number.NEGATIVE_INFINITY, 0, 15_000]) {
      assert.deepEqual(gcra(PACE, tat, 6, 15_000), { kind: 'limited', retryMs: null, ...idle });
      assert.deepEqual(gcra(PACE, tat, 0, 15_000), { kind: 'allowed', tat: 15_000, ...idle });
    }
  });

  it('waits until the clock is again where it was, when it goes back', () => {
    assert.deepEqual(gcra(PACE, 5_000, 1, -1_000), { kind: 'limited', retryMs: 2_000, remaining: 0, resetMs: 6_000 });
    assert.deepEqual(gcra(PACE, 5_000, 0, -1_000), { kind: 'limited', retryMs: 1_000, remaining: 0, resetMs: 6_000 });
    assert.deepEqual(gcra(PACE, 5_000, 0, 0), { kind: 'allowed', tat: 5_000, remaining: 0, resetMs: 5_000 });
  });

  for (const limit of [3, 6, 7, 9, 11, 13, 600, 6_000]) {
    it(`counts whole units of a burst of ${limit} in a minute, at the clock's large numbers`, () => {
      const pace = { intervalMs: 60_000 / limit, burst: limit };
      for (const now of [0, 1_763_942_400_123, 1_763_942_400_123.25]) {
        assert.equal(gcra(pace, Number.NEGATIVE_INFINITY, limit, now).kind, 'allowed');
        let tat = 0;
        for (let used = 1; used <= limit; used += 1) {
          const result = gcra(pace, tat, 1, now);
          if (result.kind !== 'allowed') return assert.fail(`unit ${used} of ${limit} was ${result.kind}`);
          assert.equal(result.remaining, limit - used);
          ({ tat } = result);
        }
        const denied = gcra(pace, tat, 1, now);
        assert.ok(denied.kind === 'limited' && denied.remaining === 0);
      }
      return undefined;
    });
  }

  it('settles to where it would be had the cost been known', () => {
    const reserved = gcra(PACE, 0, 4, 10_000);
    const known = gcra(PACE, 0, 1, 10_000);
    assert.ok(reserved.kind === 'allowed' && known.kind === 'allowed');
    assert.equal(settleGcra(PACE, reserved.tat, 4, 1), known.tat);
    assert.equal(settleGcra(PACE, known.tat, 1, 4), reserved.tat);
  });
});
