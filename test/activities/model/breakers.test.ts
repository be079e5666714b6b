// Goal: workers agree on which models are left alone, one call alone tries a model that failed, and a worker that dies trying leaves nothing behind.
// Method: the breakers of two workers on one real database, and of a third in a process of its own that is killed; time is moved in the row.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { nextOf, openMs } from '../../../src/activities/model/routing/breaker-machine.ts';
import {
  createProcessBreakers,
  type Permit,
  type ProcessBreakers,
} from '../../../src/activities/model/routing/process-breakers.ts';
import { type BreakerStanding, CLOSED } from '../../../src/domain/model/breaker.ts';
import { startTestServers } from '../../support/servers.ts';
import { openTestStores, randomId, type TestStores } from '../stores/support.ts';

/** What is known is looked up again after a second. */
const AGREED_MS = 1_100;

/** Tells a breaker of calls, `+` answered and `-` failed, and says after each whether it is open. */
const play = async (calls: string): Promise<string> => {
  let standing: BreakerStanding = CLOSED;
  let opened = '';
  for (const call of calls) {
    const next = await nextOf(standing, call === '+' ? 'answered' : 'failed');
    if (next !== null) {
      const status = next.openMs === null ? 'closed' : 'open';
      standing = { ...standing, status, state: JSON.parse(JSON.stringify(next.state)) as object };
    }
    opened += standing.status === 'open' ? 'o' : '.';
  }
  return opened;
};

const probesOf = (admissions: readonly Awaited<ReturnType<ProcessBreakers['admit']>>[]): number =>
  admissions.filter((each) => each.kind === 'admitted').length;

describe('the machine of a breaker', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['stays closed for four failures', '----', '....'],
    ['opens with the fifth failure', '-----', '....o'],
    ['opens when more than half of five calls fail', '++---', '....o'],
    ['stays closed when half of the calls fail', '+-+-+-+-', '........'],
    [
      'opens only after eleven failures of a model that always answered',
      `${'+'.repeat(20)}${'-'.repeat(11)}`,
      `${'.'.repeat(30)}o`,
    ],
    ['closes when the call that tries is answered', '-----+', '....o.'],
    ['opens again when the call that tries fails', '------', '....oo'],
    ['counts anew once it has closed', '-----+----', '....o....o'],
  ];
  for (const [title, calls, expected] of cases) {
    it(title, async () => assert.equal(await play(calls), expected));
  }

  it('writes nothing for an answer of a model whose last twenty calls were answered', async () => {
    let standing: BreakerStanding = CLOSED;
    for (let call = 0; call < 20; call += 1) {
      const next = await nextOf(standing, 'answered');
      assert.ok(next !== null);
      standing = { ...standing, state: next.state };
    }
    assert.equal(await nextOf(standing, 'answered'), null);
  });

  const strange: readonly (readonly [string, object | null])[] = [
    ['nothing', null],
    ['an empty object', {}],
    ['fewer samples than it looks at', { ownState: { value: 0 }, breakerState: { samples: [true], successes: 1 } }],
    ['words', { ownState: 'open', breakerState: 'none' }],
  ];
  for (const [title, state] of strange) {
    it(`goes on from a row that another version has written with ${title}`, async () => {
      const open = { ...CLOSED, status: 'open', state } as const;
      assert.deepEqual(
        [(await nextOf(open, 'failed'))?.openMs, (await nextOf(open, 'answered'))?.openMs],
        [10_000, null],
      );
      let standing: BreakerStanding = { ...CLOSED, state };
      for (let call = 1; call <= 5; call += 1) {
        const next = await nextOf(standing, 'failed');
        assert.equal(next?.openMs, call === 5 ? 5_000 : null);
        standing = { ...standing, state: next?.state ?? null };
      }
    });
  }

  it('leaves a model alone for 5 s, doubled each time, for a minute at most', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 50].map(openMs), [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });
});

describe('the breakers of two workers', () => {
  let stores: TestStores;
  let url: string;
  let key: { readonly model: string; readonly server: string };
  let changes: string[];
  let ann: ProcessBreakers;
  let bob: ProcessBreakers;

  before(async () => {
    stores = await openTestStores();
    url = (await startTestServers()).postgres.url;
  });
  after(async () => stores.close());
  beforeEach(() => {
    key = { model: `tests:${randomId('model')}`, server: '' };
    changes = [];
    [ann, bob] = [newWorker(), newWorker()];
  });

  /** A worker that has heard of nothing yet. */
  const newWorker = (): ProcessBreakers =>
    createProcessBreakers(stores.breakers, (_model, status) => changes.push(status));
  const permitOf = async (worker: ProcessBreakers): Promise<Permit> => {
    const admission = await worker.admit(key);
    return admission.kind === 'admitted' ? admission.permit : assert.fail(`refused: ${admission.why}`);
  };
  const refusalOf = async (worker: ProcessBreakers): Promise<string> => {
    const admission = await worker.admit(key);
    return admission.kind === 'refused' ? admission.why : assert.fail('it was admitted');
  };
  const fail = async (worker: ProcessBreakers, times: number): Promise<void> => {
    for (let call = 0; call < times; call += 1) await (await permitOf(worker)).tell('failed');
  };
  /** Lets the time of an open breaker pass. */
  const age = async (): Promise<void> => {
    await sql`update perdure.model_breakers set half_open_at = clock_timestamp() - interval '1 second' where model = ${key.model}`.execute(
      stores.db,
    );
    [ann, bob] = [newWorker(), newWorker()];
  };
  it('count together, and both leave the model alone within a second', async () => {
    await fail(ann, 3);
    assert.equal((await bob.admit(key)).kind, 'admitted');
    await fail(bob, 2);
    assert.equal(await refusalOf(bob), 'breaker-open');
    await sleep(AGREED_MS);
    const admission = await ann.admit(key);
    assert.ok(admission.kind === 'refused' && admission.waitMs > 0 && admission.waitMs <= 5_000);
    assert.deepEqual(changes, ['open']);
  });

  it('take no notice of a call that ends after the breaker has opened', async () => {
    const late = await permitOf(ann);
    await fail(bob, 5);
    await late.tell('answered');
    assert.equal(await refusalOf(bob), 'breaker-open');
    assert.deepEqual(changes, ['open']);
  });

  it('count every call of eighteen workers that write at once', async () => {
    const permits = await Promise.all(Array.from({ length: 18 }, async () => permitOf(newWorker())));
    await Promise.all(permits.map(async ({ tell }, index) => tell(index < 2 ? 'failed' : 'answered')));
    const [record] = (await stores.breakers.list()).filter(({ model }) => model === key.model);
    assert.deepEqual([record?.calls, record?.failures], [18, 2]);
  });

  it('do not wait for a worker that is stopped while it changes the breaker', async () => {
    await fail(ann, 4);
    void stores.breakers.change(key, { probe: null, ageMs: 0 }, async () => new Promise(() => undefined));
    await sleep(200);
    await fail(bob, 1);
    assert.equal(await refusalOf(bob), 'breaker-open');
  });

  it('take no notice of calls that were begun before it opened, once it has closed', async () => {
    const late = await Promise.all(Array.from({ length: 6 }, async () => permitOf(ann)));
    await fail(bob, 5);
    await age();
    await (await permitOf(bob)).tell('answered');
    for (const permit of late) await permit.tell('failed');
    assert.equal((await newWorker().admit(key)).kind, 'admitted');
    const [record] = (await stores.breakers.list()).filter(({ model }) => model === key.model);
    assert.deepEqual([record?.status, record?.failures, record?.halfOpenAt], ['closed', 0, null]);
  });

  it('let one call through of forty that come at once, and close when it is answered', async () => {
    await fail(ann, 5);
    await age();
    const admissions = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? ann : bob).admit(key)),
    );
    assert.equal(probesOf(admissions), 1);
    const tried = admissions.find((each) => each.kind === 'admitted');
    await tried?.permit.tell('answered');
    await sleep(AGREED_MS);
    assert.deepEqual([(await ann.admit(key)).kind, (await bob.admit(key)).kind], ['admitted', 'admitted']);
    assert.deepEqual(changes, ['open', 'closed']);
  });

  it('wait twice as long when the call that tried failed', async () => {
    await fail(ann, 5);
    await age();
    await (await permitOf(bob)).tell('failed');
    const admission = await bob.admit(key);
    assert.ok(admission.kind === 'refused' && admission.waitMs > 5_000 && admission.waitMs <= 10_000);
    const [record] = (await stores.breakers.list()).filter(({ model }) => model === key.model);
    assert.equal(record?.status, 'open');
    assert.deepEqual(changes, ['open']);
  });

  it('let the next one try when a call gives its turn back', async () => {
    await fail(ann, 5);
    await age();
    const permit = await permitOf(ann);
    assert.equal(await refusalOf(bob), 'probing');
    await permit.giveBack();
    assert.equal((await permitOf(bob)).isProbe, true);
  });

  it('take no word of a call that was given up for dead and overtaken', async () => {
    await fail(ann, 5);
    await age();
    const frozen = await permitOf(ann);
    await sql`update perdure.model_breakers set probe_until = clock_timestamp() where model = ${key.model}`.execute(
      stores.db,
    );
    const next = await permitOf(bob);
    await frozen.tell('answered');
    const [record] = (await stores.breakers.list()).filter(({ model }) => model === key.model);
    assert.equal(record?.status, 'half-open');
    await next.tell('failed');
    assert.equal(await refusalOf(bob), 'breaker-open');
  });

  it('try again soon after the worker that tried was killed, and not before', async () => {
    await fail(ann, 5);
    await age();
    const child = spawn(process.execPath, [join(import.meta.dirname, 'probe-process.ts'), url, key.model], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    assert.equal(said.toString().trim(), 'probing');
    // Longer than a lease: a worker that lives keeps it.
    await sleep(4_000);
    assert.equal(await refusalOf(ann), 'probing');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const killedAt = performance.now();
    while ((await ann.admit(key)).kind === 'refused') {
      assert.ok(performance.now() - killedAt < 30_000, 'nobody may try');
      await sleep(100);
    }
    assert.deepEqual(changes, ['open']);
  });

  it('are closed by a person, who is in the audit', async () => {
    await fail(ann, 5);
    assert.deepEqual(await stores.breakers.reset(key.model, 'ann', 'It is mended.'), [{ server: '', status: 'open' }]);
    assert.deepEqual(await stores.breakers.reset(key.model, 'ann', 'Again.'), []);
    await sleep(AGREED_MS);
    assert.equal((await ann.admit(key)).kind, 'admitted');
    const rows = await stores.db
      .selectFrom('audit')
      .select(['tenant', 'principal', 'action', 'after'])
      .where('target', '=', key.model)
      .execute();
    assert.deepEqual(rows, [
      {
        tenant: '*',
        principal: 'ann',
        action: 'models.reset-breaker',
        after: { status: 'closed', reason: 'It is mended.' },
      },
    ]);
  });
});
