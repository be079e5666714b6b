// Goal: all workers share one limit: they never let through more than it together, agree on what is in force, and a dead one's place is given on.
// Method: several connection pools to the real database, each as a process of its own would have it, and many askers at once.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { NO_USAGE } from '../../../src/domain/model/usage.ts';
import type { RateLimit } from '../../../src/domain/quota/rate-limit.ts';
import { spanMs } from '../../../src/domain/quota/sliding-window.ts';
import type { RateAsked, RatedCredential } from '../../../src/stores/rate-limits.ts';
import { mostInWindow } from '../../support/rate-simulation.ts';
import { openTestStores, randomId, type TestStores } from './support.ts';

const SECONDS: RateLimit = { windowMs: 2_000, requests: null, tokens: 10_000 };

const rated = (limit: RateLimit, declaredAt = Date.now()): RatedCredential => {
  const credential = randomId('provider');
  return { credential, subject: credential, limit, declaredAt };
};
/** A call of some bytes; its reply has one token, so that bytes decide. */
const asking = (id: string, bytes: number) => ({
  id,
  runId: id,
  model: 'm',
  bytes,
  fileTokens: 0,
  outputTokensMax: 1,
});
const granted = (answer: RateAsked): RateAsked & { kind: 'granted' } => {
  if (answer.kind !== 'granted') return assert.fail(`it was ${JSON.stringify(answer)}`);
  return answer;
};

const moment = (ms: number) => new Date(Date.now() + ms);

const askOnce = async (worker: TestStores, as: RatedCredential) =>
  worker.rateLimits.ask('a', as, asking(randomId('call'), 1));

describe('rate limits', () => {
  let workers: readonly TestStores[];
  let first: TestStores;
  before(async () => {
    workers = await Promise.all([1, 2, 3, 4].map(() => openTestStores()));
    [first] = workers as [TestStores, ...TestStores[]];
  });
  after(async () => Promise.all(workers.map((worker) => worker.close())));

  const waitersOf = async (credential: string): Promise<readonly string[]> => {
    const rows = await first.db.selectFrom('rate_waiters').select('id').where('credential', '=', credential).execute();
    return rows.map(({ id }) => id).toSorted();
  };

  it('lets through no more than the limit in any window, whoever asks on however many connections', async () => {
    const credential = rated(SECONDS);
    const made: { at: number; tokens: number }[] = [];
    const endsAt = performance.now() + 3_000;
    await Promise.all(
      workers.flatMap((worker, process) =>
        Array.from({ length: 12 }, async (_, caller) => {
          for (let call = 0; performance.now() < endsAt;) {
            const ask = asking(`${process}-${caller}-${call}`, 500 + 50 * caller);
            const answer = await worker.rateLimits.ask(`t${process}`, credential, ask);
            if (answer.kind === 'denied') await sleep(Math.min(answer.waitMs, 300));
            if (answer.kind !== 'granted') continue;
            made.push({ at: answer.grant.at, tokens: answer.grant.cost.tokens });
            call += 1;
          }
        }),
      ),
    );
    made.sort((a, b) => a.at - b.at);
    assert.ok(mostInWindow(made, spanMs(SECONDS.windowMs)) <= 10_000 + 1e-3);
    const whole = made.reduce((sum, { tokens }) => sum + tokens, 0);
    // A limit of 10,000 in each 3 s, and 3 s of it: a fifth as a floor, as the machine may be busy.
    assert.ok(whole > 2_000, `${whole} tokens in 3 s`);
  }).timeout(30_000);

  it('keeps the place of a call that asks again, and frees it when it passes', async () => {
    const credential = rated({ windowMs: 1_000, requests: 2, tokens: null });
    const ask = async (id: string, tenant = 'a') => first.rateLimits.ask(tenant, credential, asking(id, 1));
    granted(await ask('one'));
    granted(await ask('two'));
    const denied = await ask('three');
    assert.ok(denied.kind === 'denied' && denied.dimension === 'requests' && denied.waitMs > 500);
    await ask('three');
    assert.deepEqual(await waitersOf(credential.credential), ['three']);
    await sleep(denied.waitMs + 50);
    granted(await ask('three'));
    assert.deepEqual(await waitersOf(credential.credential), []);
  });

  it('keeps room for those that wait, and gives it on when they are not heard of again', async () => {
    const credential = rated({ windowMs: 1_000, requests: 1, tokens: null });
    const ask = async (id: string) => first.rateLimits.ask('a', credential, asking(id, 1));
    granted(await ask('one'));
    const dead = await ask('dead');
    assert.ok(dead.kind === 'denied');
    await sleep(dead.waitMs + 50);
    assert.equal((await ask('next')).kind, 'denied', 'the room is for the one that waits');
    await first.db
      .updateTable('rate_waiters')
      .set({ expires_at: sql`now() - interval '1 second'` })
      .where('credential', '=', credential.credential)
      .where('id', '=', 'dead')
      .execute();
    granted(await ask('next'));
    assert.equal((await ask('last')).kind, 'denied');
    assert.deepEqual(await waitersOf(credential.credential), ['last'], 'the dead one is removed by the next denial');
    await first.rateLimits.leave('a', 'last');
    assert.deepEqual(await waitersOf(credential.credential), []);
  });

  it('applies the limit of the newest deployment, whichever process asks', async () => {
    const wide = rated({ windowMs: 60_000, requests: 100, tokens: null }, Date.now() - 60_000);
    const narrow = { ...wide, limit: { windowMs: 60_000, requests: 2, tokens: null }, declaredAt: Date.now() };
    const [old, deployed, late] = workers as [TestStores, TestStores, TestStores];
    granted(await askOnce(old, wide));
    granted(await askOnce(deployed, narrow));
    assert.equal((await askOnce(old, wide)).kind, 'denied');
    assert.equal(
      (await askOnce(late, wide)).kind,
      'denied',
      'an old process that asks for the first time changes nothing',
    );
  });

  it('gives back what a call did not use, charges what it used above, and learns from it', async () => {
    const credential = rated({ windowMs: 60_000, requests: null, tokens: 10_000 });
    const settle = async ({ grant }: RateAsked & { kind: 'granted' }, input: number, size = asking('x', 20_000)) => {
      const usage = {
        inputTokens: input,
        outputTokens: 0,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
      };
      const actual = { requests: 1, model: 'm', usage, lateMs: 0 };
      await first.rateLimits.settle('a', credential.credential, { grant, size, actual });
    };
    const ask = async (id: string) => first.rateLimits.ask('a', credential, asking(id, 20_000));
    const one = granted(await ask('one'));
    assert.equal(one.grant.cost.tokens, 8_001, 'before anything is known: 2.5 bytes a token');
    assert.equal((await ask('two')).kind, 'denied');
    await settle(one, 2_000);
    const two = granted(await ask('two'));
    assert.ok(two.grant.cost.tokens < 8_001 && two.grant.cost.tokens > 2_000, `${two.grant.cost.tokens}`);
    await settle(two, 9_000);
    assert.equal((await ask('three')).kind, 'denied', 'the window has 11,000 now');
  });

  it('counts no input that was read from the cache, where the provider does not', async () => {
    const credential = rated({ windowMs: 60_000, requests: null, tokens: 10_000_000, freeCacheReads: true });
    const size = asking('x', 20_000);
    const usage = { ...NO_USAGE, inputTokens: 5_000, cacheReadTokens: 4_600, outputTokens: 1 };
    for (let turn = 1; turn <= 12; turn += 1) {
      const { grant } = granted(await first.rateLimits.ask('a', credential, { ...size, id: `turn ${turn}` }));
      const actual = { requests: 1, model: 'm', usage, lateMs: 0 };
      await first.rateLimits.settle('a', credential.credential, { grant, size, actual });
    }
    const [shown] = (await first.rateLimits.show()).filter((each) => each.credential === credential.credential);
    assert.equal(shown?.used.tokens, 12 * 401);
  });

  it('lets nobody through while the provider refuses, in any process', async () => {
    const credential = rated({ windowMs: 60_000, requests: 1_000, tokens: null });
    const [one, other] = workers as [TestStores, TestStores];
    granted(await one.rateLimits.ask('a', credential, asking('a', 1)));
    await one.rateLimits.hold('a', credential.credential, 5_000);
    const denied = await other.rateLimits.ask('b', credential, asking('b', 1));
    assert.ok(denied.kind === 'denied' && denied.waitMs > 4_000 && denied.waitMs < 5_500, JSON.stringify(denied));
  });

  it('says of a call that is larger than the limit that it can never pass, and keeps no place for it', async () => {
    const credential = rated(SECONDS);
    const answer = await first.rateLimits.ask('a', credential, asking('huge', 100_000));
    assert.deepEqual(answer, { kind: 'never', dimension: 'tokens', limit: 10_000, cost: 12_500 });
    assert.deepEqual(await waitersOf(credential.credential), []);
  });

  it('lets a prompt through that may fit, though more is reserved for its bytes and files than the limit', async () => {
    const dense = await first.rateLimits.ask('a', rated(SECONDS), asking('dense', 40_000));
    assert.equal(granted(dense).grant.cost.tokens, 10_000, 'a guess of 16,000 tokens is no reason to block a run');
    const file = { ...asking('file', 400), fileTokens: 500_000 };
    assert.equal(granted(await first.rateLimits.ask('a', rated(SECONDS), file)).grant.cost.tokens, 10_000);
  });

  it('keeps a place until the call is to ask again, and no longer', async () => {
    const credential = rated({ windowMs: 60_000, requests: 2, tokens: null });
    const ask = async (id: string) => first.rateLimits.ask('a', credential, asking(id, 1));
    for (const id of ['one', 'two']) granted(await ask(id));
    const told = new Map<string, number>();
    for (let index = 0; index < 12; index += 1) {
      const denied = await ask(`w${index}`);
      assert.ok(denied.kind === 'denied');
      told.set(`w${index}`, denied.waitMs);
    }
    const longest = [...told.values()].slice(-4);
    assert.ok(
      longest.every((waitMs) => waitMs <= 120_000 && waitMs > 110_000),
      longest.join(' '),
    );
    assert.equal(new Set(longest).size, longest.length, 'those that wait longest do not ask together');
    const { rows } = await sql<{ id: string; ms: number }>`
      select id, (extract(epoch from expires_at - clock_timestamp()) * 1000)::double precision as ms
        from perdure.rate_waiters where credential = ${credential.credential}`.execute(first.db);
    for (const { id, ms } of rows) {
      const kept = ms - (told.get(id) ?? 0);
      assert.ok(kept < 15_001 && kept > 5_000, `${id} is kept ${kept} ms beyond its time`);
    }
  });

  it('forgets places whose time is over with the next call that passes', async () => {
    const credential = rated({ windowMs: 60_000, requests: 1_000, tokens: null });
    granted(await askOnce(first, credential));
    const row = { credential: credential.credential, tenant: 'a', run_id: 'r', requests: 1, tokens: 1 };
    await first.db
      .insertInto('rate_waiters')
      .values([
        { ...row, id: 'over', since: moment(-60_000), expires_at: moment(-1_000) },
        { ...row, id: 'of a clock that was ahead', since: moment(3_000_000), expires_at: moment(3_600_000) },
      ])
      .execute();
    granted(await askOnce(first, credential));
    assert.deepEqual(await waitersOf(credential.credential), []);
  });

  it('takes the newest deployment by the clock of the database, whatever the clocks of workers say', async () => {
    const narrow = rated({ windowMs: 60_000, requests: 1, tokens: null }, Date.now() + 3_600_000);
    const [old, fresh] = workers as [TestStores, TestStores];
    granted(await askOnce(old, narrow));
    await sleep(1_500);
    const wide = { ...narrow, limit: { windowMs: 60_000, requests: 100, tokens: null }, declaredAt: Date.now() };
    granted(await askOnce(fresh, wide));
  });

  it('takes the next deployment also where the clock of the database was set back since the last', async () => {
    const narrow = rated({ windowMs: 60_000, requests: 1, tokens: null }, Date.now() - 5_000);
    granted(await askOnce(first, narrow));
    const wide = { ...narrow, limit: { windowMs: 60_000, requests: 100, tokens: null }, declaredAt: Date.now() - 500 };
    await first.db
      .updateTable('rate_limits')
      .set({ declared_at: sql`clock_timestamp() + interval '1 hour'` })
      .where('credential', '=', narrow.credential)
      .execute();
    granted(await askOnce(first, wide));
  });

  it('goes back to the limit of those that live when the process that set it is not heard of again', async () => {
    const wide = rated({ windowMs: 60_000, requests: 100, tokens: null }, Date.now() - 60_000);
    const narrow = { ...wide, limit: { windowMs: 60_000, requests: 1, tokens: null }, declaredAt: Date.now() };
    const [living, restarted] = workers as [TestStores, TestStores];
    granted(await askOnce(living, wide));
    granted(await askOnce(living, wide));
    assert.equal((await askOnce(restarted, narrow)).kind, 'denied');
    assert.equal((await askOnce(living, wide)).kind, 'denied', 'the newest process has the word');
    await sql`
      update perdure.rate_limits set declared_at = declared_at - interval '1 hour',
             state = jsonb_set(state, '{heardAt}', to_jsonb((state ->> 'heardAt')::double precision - 3600000))
       where credential = ${wide.credential}`.execute(first.db);
    granted(await askOnce(living, wide));
  });

  it('lets a prompt through that fits, though its longest reply would not', async () => {
    const answer = await first.rateLimits.ask('a', rated(SECONDS), {
      ...asking('long', 10_000),
      outputTokensMax: 100_000,
    });
    assert.equal(granted(answer).grant.cost.tokens, 10_000);
  });
});
