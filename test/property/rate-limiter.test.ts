// Goal: whatever is asked and whenever, no window of the provider's clock sees more than the limit, and tenants have their shares of it.
// Method: random schedules on a clock of the test, and simulated tenants that keep asking, with waits and replies of random length.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Waiter } from '../../src/domain/quota/fair-queue.ts';
import type { RateLimit } from '../../src/domain/quota/rate-limit.ts';
import {
  askRate,
  changeLimit,
  FRESH_RATE_STATE,
  holdRate,
  type RateGrant,
  type RateState,
  settleRate,
} from '../../src/domain/quota/rate-limiter.ts';
import { spanMs } from '../../src/domain/quota/sliding-window.ts';
import { calibrate, estimateTokens } from '../../src/domain/quota/token-estimate.ts';
import { type Load, mostInWindow, simulate, tokensOf } from '../support/rate-simulation.ts';

const MINUTE: RateLimit = { windowMs: 60_000, requests: null, tokens: 60_000 };

const step = fc.record({
  afterMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 20_000 })),
  tenant: fc.constantFrom('a', 'b', 'c'),
  tokens: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 6_000 })),
  /** What the call used of what was reserved, and whether an earlier call is settled now. */
  used: fc.double({ min: 0, max: 1, noNaN: true }),
  settles: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;
type Made = { readonly at: number; tokens: number; readonly grant: RateGrant; readonly used: number };

/** Plays a schedule in which whoever is denied goes away, and gives the calls that were let through with what they used. */
function play(limit: RateLimit, steps: readonly Step[]): readonly Made[] {
  let state: RateState = FRESH_RATE_STATE;
  let now = 1_000_000_000_000;
  const made: Made[] = [];
  const open: Made[] = [];
  for (const [index, { afterMs, tenant, tokens, used, settles }] of steps.entries()) {
    now += afterMs;
    const asking: Waiter = { id: `${index}`, tenant, weight: 1, cost: { requests: 1, tokens }, since: now };
    const answer = askRate(state, limit, asking, [], now);
    if (answer.kind === 'granted') {
      ({ state } = answer);
      const call = { at: now, tokens, grant: answer.grant, used };
      made.push(call);
      open.push(call);
    }
    const settled = settles ? open.shift() : undefined;
    if (settled === undefined) continue;
    settled.tokens = settled.grant.cost.tokens * settled.used;
    const actual = { requests: 1, tokens: settled.tokens };
    state = settleRate(state, limit, { ...settled.grant, weight: 1 }, actual, now);
  }
  return made;
}

const random = (seed: number): (() => number) => {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
};
const load = (tenant: string, next: () => number, change: Partial<Load> = {}): Load => ({
  tenant,
  weight: 1,
  callers: 20,
  fromMs: 0,
  toMs: Number.POSITIVE_INFINITY,
  call: () => {
    const actual = Math.round(200 + 200 * next());
    return { reserved: Math.round(actual * (1 + 0.4 * next())), actual, durationMs: 300 + 1_000 * next() };
  },
  ...change,
});
const late = (next: () => number) => () => 20 + 180 * next();

/** A call of a tenant that asks alone. */
const call = (tokens: number): Waiter => ({
  id: 'x',
  tenant: 'a',
  weight: 1,
  cost: { requests: 1, tokens },
  since: 0,
});

const askFor = (tokens: number) =>
  askRate(
    FRESH_RATE_STATE,
    MINUTE,
    { id: 'x', tenant: 'a', weight: 1, cost: { requests: 1, tokens }, since: 0 },
    [],
    0,
  );

const askOne = (state: RateState, now: number) =>
  askRate(state, MINUTE, { id: 'x', tenant: 'a', weight: 1, cost: { requests: 1, tokens: 1 }, since: 0 }, [], now);

describe('the rate limiter', () => {
  it('lets no window hold more tokens or requests than the limit, whatever is given back', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 50, maxLength: 400 }),
        fc.constantFrom(6_000, 60_000),
        (steps, windowMs) => {
          const limit = { windowMs, requests: 20, tokens: 10_000 };
          const made = play(limit, steps);
          assert.ok(mostInWindow(made, spanMs(windowMs)) <= limit.tokens + 1e-3);
          const requests = made.map(({ at }) => ({ at, tokens: 1 }));
          assert.ok(mostInWindow(requests, spanMs(windowMs)) <= limit.requests);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('names a wait after which the call passes, where nobody else asks', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 5, maxLength: 100 }),
        fc.integer({ min: 1, max: 9_999 }),
        (steps, cost) => {
          const limit = { windowMs: 60_000, requests: 20, tokens: 10_000 };
          let state = FRESH_RATE_STATE;
          let now = 0;
          for (const { afterMs, tenant, tokens } of [...steps, { afterMs: 0, tenant: 'a', tokens: cost }]) {
            now += afterMs;
            const asking: Waiter = { id: 'x', tenant, weight: 1, cost: { requests: 1, tokens }, since: now };
            let answer = askRate(state, limit, asking, [], now);
            if (answer.kind === 'denied') {
              now += answer.waitMs;
              answer = askRate(answer.state, limit, asking, [], now);
            }
            if (answer.kind !== 'granted') return assert.fail(`after its wait it was ${answer.kind}`);
            ({ state } = answer);
          }
          return undefined;
        },
      ),
      { numRuns: 200 },
    );
  });

  it('says of a call above the limit that it can never pass, and of one at the limit that it can', () => {
    assert.deepEqual(askFor(60_001), { kind: 'never', dimension: 'tokens', limit: 60_000, cost: 60_001 });
    assert.equal(askFor(60_000).kind, 'granted');
  });

  it('lets nobody pass while the provider holds, and at most for a window', () => {
    const held = holdRate(FRESH_RATE_STATE, MINUTE, 20_000, 1_000);
    assert.equal(askOne(held, 20_999).kind, 'denied');
    assert.equal(askOne(held, 21_002).kind, 'granted');
    assert.equal(askOne(holdRate(FRESH_RATE_STATE, MINUTE, 3_600_000, 0), 60_002).kind, 'granted');
  });

  it('lets no large call pass either while the provider holds', () => {
    const held = holdRate(FRESH_RATE_STATE, MINUTE, 20_000, 0);
    for (const tokens of [3_001, 20_000, 60_000]) {
      const early = askRate(held, MINUTE, call(tokens), [], 19_999);
      assert.equal(early.kind, 'denied', `${tokens} tokens`);
      const first = askRate(held, MINUTE, call(tokens), [], 0);
      assert.ok(first.kind === 'denied' && first.waitMs >= 20_000, `${tokens} tokens`);
    }
  });

  it('goes on within a window when the clock is set back, and forgets nothing', () => {
    const start = 1_000_000_000_000;
    const used = askRate(FRESH_RATE_STATE, MINUTE, call(50_000), [], start);
    assert.ok(used.kind === 'granted');
    const state = holdRate(used.state, MINUTE, 5_000, start);
    const back = start - 3_600_000;
    const other = askRate(state, MINUTE, call(20_000), [], back);
    assert.ok(other.kind === 'denied' && other.waitMs <= spanMs(60_000) + 2_000, JSON.stringify(other));
    assert.equal(askRate(other.state, MINUTE, call(20_000), [], back + other.waitMs).kind, 'granted');
  });

  it('counts a call that was sent later than it was let through where the provider counts it', () => {
    const granted = askRate(FRESH_RATE_STATE, MINUTE, call(60_000), [], 0);
    assert.ok(granted.kind === 'granted');
    const sent = { ...granted.grant, weight: 1, lateMs: 20_000 };
    const state = settleRate(granted.state, MINUTE, sent, { requests: 1, tokens: 60_000 }, 30_000);
    assert.equal(askRate(state, MINUTE, call(1_000), [], 70_000).kind, 'denied');
    assert.equal(askRate(state, MINUTE, call(1_000), [], 83_000).kind, 'granted');
  });

  it('works off at the new pace what passed under a limit that was raised or lowered, and still counts it', () => {
    const used = askRate(FRESH_RATE_STATE, MINUTE, call(3_000), [], 0);
    assert.ok(used.kind === 'granted');
    const wide = { ...MINUTE, tokens: 600_000 };
    assert.equal(askRate(changeLimit(used.state, MINUTE, wide, 0), wide, call(27_000), [], 0).kind, 'granted');
    const narrow = { ...MINUTE, tokens: 6_000 };
    const lowered = changeLimit(used.state, MINUTE, narrow, 0);
    const denied = askRate(lowered, narrow, call(300), [], 0);
    assert.ok(denied.kind === 'denied' && denied.waitMs > 25_000 && denied.waitMs < 35_000, JSON.stringify(denied));
    assert.equal(askRate(lowered, narrow, call(3_001), [], 60_000).kind, 'denied');
  });

  it('learns nothing for its queue from calls that were not made', () => {
    const granted = askRate(FRESH_RATE_STATE, MINUTE, call(900), [], 0);
    assert.ok(granted.kind === 'granted');
    const state = settleRate(granted.state, MINUTE, { ...granted.grant, weight: 1 }, { requests: 0, tokens: 0 }, 1);
    assert.equal(state.usedShare, 1);
  });

  it('names the limit that holds a call back longest', () => {
    const limit = { windowMs: 60_000, requests: 2, tokens: 60_000 };
    const ask = (state: RateState, tokens: number) =>
      askRate(state, limit, { id: 'x', tenant: 'a', weight: 1, cost: { requests: 1, tokens }, since: 0 }, [], 0);
    let state = FRESH_RATE_STATE;
    for (let count = 0; count < 2; count += 1) {
      const answer = ask(state, 1);
      assert.ok(answer.kind === 'granted');
      ({ state } = answer);
    }
    const denied = ask(state, 1);
    assert.ok(denied.kind === 'denied');
    assert.equal(denied.dimension, 'requests');
  });
});

/** Calls as they come: sized by bytes, estimated by what was learned, some of them lost with their worker. */
type Estimated = {
  readonly inputOf: (next: () => number) => number;
  readonly bytesPerToken?: number;
  readonly outputTokensMax?: number;
  readonly lost?: number;
};

const small = (next: () => number): number => 100 + 500 * next();
/** From 100 to 20,000 tokens, most of them small. */
const uneven = (next: () => number): number => 100 * Math.exp(5.2 * next() * next());

const estimated =
  (next: () => number, { inputOf, bytesPerToken = 4, outputTokensMax = 4_000, lost = 0 }: Estimated): Load['call'] =>
  () => {
    const input = Math.round(inputOf(next));
    const output = Math.round(50 + 250 * next());
    const size = { bytes: Math.round(input * bytesPerToken * (0.9 + 0.2 * next())), fileTokens: 0, outputTokensMax };
    return {
      reserved: (known) => {
        const estimate = estimateTokens(known, size);
        return Math.min(60_000, estimate.input + estimate.output);
      },
      actual: input + output,
      durationMs: 500 + 1_500 * next(),
      learn: (before) => calibrate(before, size, { input, output }),
      isLost: next() < lost,
    };
  };

const SETTINGS: readonly {
  readonly name: string;
  readonly weights: readonly number[];
  readonly calls: Estimated;
  /** Of the limit, at least used. */
  readonly used: number;
  readonly minutes?: number;
}[] = [
  { name: 'equal weights', weights: [1, 1], calls: { inputOf: small }, used: 0.88 },
  { name: 'ten to one', weights: [10, 1], calls: { inputOf: small }, used: 0.88 },
  { name: 'three tenants', weights: [5, 2, 1], calls: { inputOf: small }, used: 0.88 },
  { name: 'calls of 100 to 20,000 tokens', weights: [3, 1], calls: { inputOf: uneven }, used: 0.75, minutes: 15 },
  {
    name: 'a third of the tokens foreseen',
    weights: [3, 1],
    calls: { inputOf: small, bytesPerToken: 0.8 },
    used: 0.88,
  },
  {
    name: 'eight times the tokens foreseen',
    weights: [3, 1],
    calls: { inputOf: small, bytesPerToken: 20 },
    used: 0.88,
  },
  {
    name: 'a hundred times the usual reply allowed',
    weights: [3, 1],
    calls: { inputOf: small, outputTokensMax: 32_000 },
    used: 0.85,
  },
  { name: 'one call in twenty lost', weights: [3, 1], calls: { inputOf: small, lost: 0.05 }, used: 0.8 },
];

describe('fair shares', () => {
  for (const { name, weights, calls, used, minutes = 6 } of SETTINGS) {
    it(`hold from the second minute on, and so does the limit: ${name}`, () => {
      const next = random(19);
      const loads = weights.map((weight, index) =>
        load(`t${index}`, next, { weight, callers: 12 + 2 * weight, call: estimated(next, calls) }),
      );
      const untilMs = minutes * 60_000;
      const result = simulate(MINUTE, loads, untilMs, late(next));
      const shares = weights.map((_, index) => tokensOf(result, `t${index}`, 60_000, untilMs));
      const whole = shares.reduce((sum, share) => sum + share, 0);
      const sum = weights.reduce((total, weight) => total + weight, 0);
      for (const [index, weight] of weights.entries()) {
        const share = (shares[index] ?? 0) / whole / (weight / sum);
        assert.ok(Math.abs(share - 1) < 0.1, `tenant ${index} has ${share} of its share`);
      }
      assert.ok(whole / (minutes - 1) > used * 60_000, `${whole / (minutes - 1)} tokens a minute`);
      assert.ok(mostInWindow(result.served, 60_000) <= 60_000, `${mostInWindow(result.served, 60_000)} in a minute`);
    });
  }

  it('are those of tenants of any name', () => {
    for (const tenant of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      const next = random(5);
      const result = simulate(MINUTE, [load(tenant, next, { weight: 3 }), load('b', next)], 120_000, late(next));
      assert.ok(Number.isFinite(result.state.fairness.virtual), tenant);
      const [a, b] = [tenant, 'b'].map((name) => tokensOf(result, name, 60_000, 120_000)) as [number, number];
      assert.ok(a / b > 2.4 && a / b < 3.6, `${tenant}: ${a} to ${b}`);
    }
  });

  it('follow the weights of tenants that all ask for more than there is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.constantFrom(1, 2, 3, 5), (seed, weight) => {
        const next = random(seed);
        const result = simulate(MINUTE, [load('a', next, { weight }), load('b', next)], 240_000, late(next));
        const [a, b] = ['a', 'b'].map((tenant) => tokensOf(result, tenant, 60_000, 240_000)) as [number, number];
        assert.ok(Math.abs(a / b / weight - 1) < 0.1, `${a} to ${b} for ${weight} to 1`);
        assert.ok((a + b) / 3 > 0.9 * 60_000, `${(a + b) / 3} tokens a minute`);
        assert.ok(mostInWindow(result.served, 60_000) <= 60_000);
      }),
      { numRuns: 12 },
    );
  });

  it('give the share of an idle tenant to the others, and back within seconds when it returns', () => {
    const next = random(7);
    const loads = [
      load('a', next, { weight: 3, toMs: 60_000 }),
      load('b', next),
      load('a', next, { weight: 3, fromMs: 150_000 }),
    ];
    const result = simulate(MINUTE, loads, 240_000, late(next));
    assert.ok(tokensOf(result, 'b', 85_000, 145_000) > 0.9 * 60_000, 'b alone has nearly all');
    const [a, b] = ['a', 'b'].map((tenant) => tokensOf(result, tenant, 155_000, 175_000)) as [number, number];
    assert.ok(a / b > 2.4 && a / b < 3.9, `five seconds after its return a has ${a} to ${b}`);
  });

  it('leave none of a hundred tenants out', () => {
    const next = random(11);
    const tenants = Array.from({ length: 100 }, (_, index) => `t${index}`);
    const result = simulate(
      MINUTE,
      tenants.map((tenant) => load(tenant, next, { callers: 2 })),
      300_000,
      late(next),
    );
    const shares = tenants.map((tenant) => tokensOf(result, tenant, 60_000, 300_000));
    const sum = shares.reduce((total, share) => total + share, 0);
    const jain = sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
    assert.ok(jain > 0.95, `Jain's index is ${jain}`);
    assert.ok(Math.min(...shares) > 0.6 * (sum / 100), `the least share is ${Math.min(...shares)} of ${sum / 100}`);
  });

  it('let a call of a light tenant wait no longer than its turn, however many a heavy one has waiting', () => {
    const next = random(13);
    const loads = [load('heavy', next, { callers: 400 }), load('light', next, { callers: 1, fromMs: 60_000 })];
    const result = simulate(MINUTE, loads, 180_000, late(next));
    const waits = result.served.flatMap(({ tenant, waitedMs }) => (tenant === 'light' ? [waitedMs] : []));
    assert.ok(waits.length > 20, `${waits.length} calls of the light tenant`);
    assert.ok(Math.max(...waits) < 8_000, `the longest wait was ${Math.max(...waits)} ms`);
  });

  it('ask again a few times only', () => {
    const next = random(17);
    const result = simulate(MINUTE, [load('a', next, { weight: 3 }), load('b', next)], 240_000, late(next));
    assert.ok(result.asks / result.served.length < 5, `${result.asks} asks for ${result.served.length} calls`);
  });
});
