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
    let tat = 0;
    assert.ok(table.cases.length >= 16);
    for (const [index, expected] of table.cases.entries()) {
      const pace = { intervalMs: table.emission_interval_ms, burst: table.limit };
      const result = gcra(pace, tat, expected.volume, expected.now_ms);
      if (result.kind === 'allowed') ({ tat } = result);
      const { remaining, resetMs } = result;
      const retryMs = result.kind === 'allowed' ? -1 : (result.retryMs ?? -1);
      assert.deepEqual(
        { remaining, reset_ms: resetMs, retry_ms: retryMs, limited: result.kind === 'limited' },
        {
          remaining: expected.remaining,
          reset_ms: expected.reset_ms,
          retry_ms: expected.retry_ms,
          limited: expected.limited,
        },
        `case ${index}`,
      );
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

  it('settles to where it would be had the cost been known', () => {
    const reserved = gcra(PACE, 0, 4, 10_000);
    const known = gcra(PACE, 0, 1, 10_000);
    assert.ok(reserved.kind === 'allowed' && known.kind === 'allowed');
    assert.equal(settleGcra(PACE, reserved.tat, 4, 1), known.tat);
    assert.equal(settleGcra(PACE, known.tat, 1, 4), reserved.tat);
  });
});
