// Goal: a write happens once, or is said to be unknown, wherever the process that makes it dies, freezes or is cut off.
// Method: kills and freezes real workers at every point of a write, against destinations that count what arrives and what they applied.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailpointName } from '../../src/domain/failpoint.ts';
import type { Begun, Intent, Lease } from '../../src/stores/effect-types.ts';
import { capturedCli, type Ended } from '../cli/captured-cli.ts';
import { startDestination, type Treatment } from '../support/crash/destination.ts';
import { limiter } from '../support/crash/limiter.ts';
import { type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { finishRow, KINDS, type Row, startCases } from '../support/crash/write-cases.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';

type Expected = readonly [keyed: string, reconcilable: string, uncertain: string, blind: string];

/** Applied once and known. */
const once = '1/1 succeeded';
/** Sent twice to a destination that gives the first result again. */
const repeated = '1/2 succeeded';
/** Not known, and in truth not applied, or applied: nothing was sent a second time. */
const unsent = '0/0 unknown';
const lost = '1/1 unknown';

const KILLED: Readonly<Record<string, Expected>> = {
  'effect:before-intent': [once, once, once, once],
  'effect:intending': [once, once, once, once],
  'effect:intended': [once, once, unsent, unsent],
  'effect:sending': [once, once, unsent, unsent],
  'effect:replied': [repeated, once, lost, lost],
  'effect:settling': [repeated, once, lost, lost],
  'effect:settled': [once, once, once, once],
};

const FROZEN: Readonly<Record<string, Expected>> = {
  'effect:intended': [once, once, unsent, unsent],
  'effect:sending': [once, once, unsent, unsent],
  // The sleeper has the reply in hand: when it wakes, the effect is known after all.
  'effect:replied': [repeated, once, once, once],
};

const CUT_OFF: Readonly<Record<string, { readonly treatment: Treatment; readonly expected: Expected }>> = {
  'reply lost after it was applied': { treatment: { kind: 'reset-after' }, expected: [repeated, once, lost, lost] },
  'reply later than the deadline': {
    treatment: { kind: 'apply', replyDelayMs: 4_000 },
    expected: [repeated, once, lost, lost],
  },
  'applied later than the deadline': {
    treatment: { kind: 'apply', delayMs: 4_500 },
    expected: ['1/2 succeeded', '1/2 succeeded', lost, lost],
  },
  'connection reset before it was applied': {
    treatment: { kind: 'reset-before' },
    expected: [repeated, '1/2 succeeded', '0/1 unknown', '0/1 unknown'],
  },
  'status 503': {
    treatment: { kind: 'unavailable' },
    expected: [repeated, '1/2 succeeded', '0/1 unknown', '0/1 unknown'],
  },
};

/** Rows that are made at the same time: two cores bear about eight worker processes, half of them starting. */
const AT_ONCE = 4;

describe('a write', function () {
  this.timeout(240_000);
  let lab: Lab;
  let killed: Promise<Row[]>;
  let killedInFlight: Promise<Row>;
  let frozen: Promise<Row[]>;
  let cutOff: Promise<Row[]>;
  let away: Promise<Row>;
  let wokenEarly: Promise<Handle>;
  let repliedLate: Promise<{ readonly handle: Handle; readonly resolved: Ended }>;
  const rows: Row[] = [];

  before(async () => {
    const servers = await startTestServers();
    lab = await openLab(servers);
    // All of it runs at the same time, each on queues of its own; the tests below wait for their part.
    const limit = limiter(AT_ONCE);
    killed = Promise.all((Object.keys(KILLED) as FailpointName[]).map((point) => limit(() => killAt(lab, point))));
    frozen = Promise.all((Object.keys(FROZEN) as FailpointName[]).map((point) => limit(() => freezeAt(lab, point))));
    killedInFlight = limit(() => killInFlight(lab));
    cutOff = limit(() => cutOffAll(lab));
    away = limit(() => goAway(lab));
    wokenEarly = limit(() => wakeEarly(lab));
    repliedLate = limit(() => replyLate(lab, servers));
    for (const work of [killed, frozen, killedInFlight, cutOff, away, wokenEarly, repliedLate])
      work.catch(() => undefined);
  });

  after(async () => {
    printTable('writes: applied/arrivals at the destination, state in the ledger', [
      ['trouble', ...KINDS.map(({ kind }) => kind)],
      ...rows.map(({ trouble, cells }) => [trouble, ...cells]),
    ]);
    await lab.close();
  });

  it('happens once wherever its worker is killed', async () => {
    const made = await killed;
    rows.push(...made);
    assert.deepEqual(cellsOf(made), expectedOf('killed at ', KILLED));
    assert.deepEqual(endsOf(made), ['completed']);
  });

  it('happens once when its worker is killed while the reply is on its way', async () => {
    const row = await killedInFlight;
    rows.push(row);
    assert.deepEqual(row.cells, [repeated, once, lost, lost]);
    assert.deepEqual(endsOf([row]), ['completed']);
  });

  it('happens once when its worker sleeps through its deadline and wakes after another has finished', async () => {
    const made = await frozen;
    rows.push(...made);
    assert.deepEqual(cellsOf(made), expectedOf('frozen at ', FROZEN));
    assert.deepEqual(endsOf(made), ['completed']);
    const [intended, sending] = made;
    // What the sleeper found when it woke: it had lost its lease, or its deadline had passed.
    for (const row of [intended, sending]) {
      assert.deepEqual(
        row?.attempts.map(([first]) => first),
        ['not-sent', 'not-sent', 'not-sent', 'not-sent'],
      );
    }
  });

  it('happens once when its connection fails', async () => {
    const made = await cutOff;
    rows.push(...made);
    const expected = Object.entries(CUT_OFF).map(([trouble, each]) => [trouble, each.expected]);
    assert.deepEqual(cellsOf(made), Object.fromEntries(expected));
    assert.deepEqual(endsOf(made), ['completed']);
  });

  it('happens once, and blindly too, when its destination was away and has come back', async () => {
    const row = await away;
    rows.push(row);
    assert.deepEqual(row.cells, [once, once, once, once]);
    assert.deepEqual(endsOf([row]), ['completed']);
  });

  it('is sent by the sleeper itself when it wakes before its deadline', async () => {
    const handle = await wokenEarly;
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    assert.deepEqual(lab.destination.of('early'), { applied: 1, arrivals: 1 });
    assert.equal((await lab.effectOf(handle.workflowId))?.state, 'succeeded');
  });

  it('is known by a late reply: who resolves it then changes nothing, and the run is told to look again', async () => {
    const { handle, resolved } = await repliedLate;
    assert.equal(resolved.exitCode, 5);
    assert.match(resolved.said, /is succeeded, not unknown; nothing was changed in the ledger; run \w+ was told/);
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    assert.deepEqual(lab.destination.of('late'), { applied: 1, arrivals: 1 });
    assert.equal(await lab.toolOutcomeOf(handle), 'unknown');
  });

  it('with a business key happens once across runs, and the second is told', async () => {
    const group = lab.group('once');
    await group.worker().ready;
    const plan = { turns: [[{ tool: 'payOnce', input: { case: 'order-7', amount: 42 } }]] };
    const first = await group.start(plan);
    await first.result();
    const second = await group.start(plan);
    assert.deepEqual((await second.result()).outcome, { kind: 'completed' });
    await group.close();
    assert.deepEqual(lab.destination.of('order-7'), { applied: 1, arrivals: 1 });
    assert.deepEqual([await lab.toolOutcomeOf(first), await lab.toolOutcomeOf(second)], ['ok', 'already-done']);
  });

  it('is not settled by the refusal of an attempt that was fenced off', async () => {
    const { effects } = lab.stores;
    const intent = testIntent();
    const first = leaseOf(await effects.begin(TENANT, intent));
    await sleep(400);
    const asking = leaseOf(await effects.begin(TENANT, { ...intent, observation: testObservation() }));
    const second = await effects.sendAfterNever(TENANT, { ...intent, observation: testObservation() }, asking);
    assert.ok(second !== null);
    // The destination promised to refuse the first send. It keeps its word while the second is on its way.
    await effects.settle(TENANT, first, { state: 'failed', ref: 'refusal', how: 'replied' });
    const settled = await effects.settle(TENANT, second, { state: 'succeeded', ref: 'payment', how: 'replied' });
    assert.deepEqual(settled, { kind: 'settled', state: 'succeeded', ref: 'payment' });
  });
});

async function killAt(lab: Lab, point: FailpointName): Promise<Row> {
  const group = lab.group('kill');
  const worker = group.worker(`${point}=kill*4`);
  await worker.ready;
  const cases = await startCases(lab, group, `killed at ${point}`);
  await worker.ended;
  await group.worker().ready;
  const row = await finishRow(lab, `killed at ${point}`, cases);
  await group.close();
  return row;
}

async function killInFlight(lab: Lab): Promise<Row> {
  const group = lab.group('kill');
  const worker = group.worker();
  await worker.ready;
  const cases = await startCases(lab, group, 'killed in flight', { treatment: { kind: 'hold-reply' } });
  await until('all have arrived', () => cases.every(({ name }) => lab.destination.of(name).applied === 1));
  await worker.kill();
  await group.worker().ready;
  const row = await finishRow(lab, 'killed before the reply came', cases);
  await group.close();
  return row;
}

async function freezeAt(lab: Lab, point: FailpointName): Promise<Row> {
  const group = lab.group('stop');
  const sleeper = group.worker(`${point}=stop*4`);
  await sleeper.ready;
  const cases = await startCases(lab, group, `frozen at ${point}`);
  await sleeper.frozen();
  await group.worker().ready;
  const row = await finishRow(lab, `frozen at ${point}`, cases, sleeper);
  await group.close();
  return row;
}

async function cutOffAll(lab: Lab): Promise<Row[]> {
  const group = lab.group('cut');
  await group.worker().ready;
  const made = await Promise.all(
    Object.entries(CUT_OFF).map(async ([trouble, { treatment }]) =>
      finishRow(lab, trouble, await startCases(lab, group, trouble, { treatment })),
    ),
  );
  await group.close();
  return made;
}

async function goAway(lab: Lab): Promise<Row> {
  const destination = await startDestination();
  const own = { ...lab, destination };
  const group = lab.group('away');
  await group.worker('', { DESTINATION_URL: destination.url }).ready;
  await destination.goAway();
  const cases = await startCases(own, group, 'destination away', { firstTurn: 'write' });
  await Promise.all(cases.map(({ handle }) => isBlocked(lab, handle)));
  await destination.comeBack();
  const row = await finishRow(own, 'destination away, then back', cases);
  await group.close();
  await destination.close();
  return row;
}

async function wakeEarly(lab: Lab): Promise<Handle> {
  const group = lab.group('early');
  const sleeper = group.worker('effect:intended=stop');
  await sleeper.ready;
  const handle = await group.start({ turns: [[{ tool: 'payPatiently', input: { case: 'early', amount: 42 } }]] });
  await sleeper.frozen();
  await group.worker().ready;
  // The other has met the open intent and waits for its deadline.
  await until('another attempt', async () => {
    const { raw } = await handle.describe();
    return (raw.pendingActivities ?? []).some(({ attempt }) => (attempt ?? 0) > 1);
  });
  sleeper.wake();
  await handle.result();
  await group.close();
  return handle;
}

/** Lets a reply come after the run has asked a person, and the person resolve what the reply has settled. */
async function replyLate(lab: Lab, { temporal, postgres }: TestServers): Promise<{ handle: Handle; resolved: Ended }> {
  const group = lab.group('late');
  const sleeper = group.worker('effect:replied=stop');
  await sleeper.ready;
  const handle = await group.start({ turns: [[{ tool: 'payBlind', input: { case: 'late', amount: 42 } }]] });
  await sleeper.frozen();
  await group.worker().ready;
  await until('the run asks', async () => (await lab.asksAbout(handle)) !== null);
  sleeper.wake();
  await until('the reply is settled', async () => (await lab.effectOf(handle.workflowId))?.state === 'succeeded');
  const perdure = capturedCli({
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    DATABASE_URL: postgres.url,
  });
  const { key = '' } = (await lab.effectOf(handle.workflowId)) ?? {};
  const resolved = await perdure('effect', 'resolve', key, '--as', 'failed', '--reason', 'Not in the books.');
  await handle.result();
  await group.close();
  return { handle, resolved };
}

async function isBlocked(lab: Lab, handle: Handle): Promise<void> {
  await until(`run ${handle.workflowId} is blocked`, async () => (await lab.phaseOf(handle.workflowId)) === 'blocked');
}

function cellsOf(rows: readonly Row[]): Record<string, readonly string[]> {
  return Object.fromEntries(rows.map(({ trouble, cells }) => [trouble, cells]));
}

function endsOf(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap(({ ends }) => ends))];
}

function expectedOf(prefix: string, table: Readonly<Record<string, Expected>>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(table).map(([point, cells]) => [`${prefix}${point}`, cells]));
}

function leaseOf(begun: Begun): Lease {
  assert.ok('lease' in begun, begun.kind);
  return begun.lease;
}

function testIntent(): Intent {
  return {
    key: randomUUID(),
    root: 'root',
    runId: 'run',
    turn: 1,
    callIndex: 0,
    tool: 'pay@1',
    contract: 'contract',
    argsHash: 'hash',
    sendWithinMs: 50,
    worker: 'w-test',
    principal: 'tests',
    approvalId: null,
    destinationHoldsKeys: false,
    canReconcile: true,
    maySend: true,
    observation: testObservation(),
  };
}

function testObservation(): Intent['observation'] {
  return {
    id: randomUUID(),
    runId: 'run',
    agent: 'crash',
    turn: 1,
    callIndex: 0,
    kind: 'tool',
    name: 'pay@1',
    release: 'release',
    attempt: 1,
    worker: 'w-test',
  };
}
