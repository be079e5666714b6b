// Goal: the effect ledger lets a write be sent by one attempt at a time, and never again when nobody knows what became of it.
// Method: the real ledger on PostgreSQL; attempts that race over ten connections, die, wake up late or lose their lease.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Begun, Intent, Lease } from '../../../src/stores/effect-types.ts';
import { newObservation, openTestStores, randomId, type TestStores } from './support.ts';

/** Beyond a send deadline of 1 ms and the margin for other clocks. */
const AFTER_DEADLINE_MS = 300;

const intend = (change: Partial<Intent> = {}): Intent => {
  const runId = randomId('run');
  return {
    key: randomId('key'),
    root: runId,
    runId,
    turn: 1,
    callIndex: 0,
    tool: 'pay@1',
    contract: 'c',
    argsHash: 'a',
    sendWithinMs: 10_000,
    worker: 'w-000000',
    principal: 'ann',
    approvalId: null,
    destinationHoldsKeys: false,
    canReconcile: false,
    maySend: true,
    observation: newObservation(runId, 1, 'tool'),
    ...change,
  };
};
/** The same write, tried again. */
const again = (intent: Intent, change: Partial<Intent> = {}): Intent => ({
  ...intent,
  observation: newObservation(intent.runId, intent.turn, 'tool'),
  ...change,
});

const leaseOf = (begun: Begun): Lease => {
  assert.ok(begun.kind === 'send' || begun.kind === 'reconcile', begun.kind);
  return begun.lease;
};

describe('the effect ledger', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const begin = async (intent: Intent) => stores.effects.begin(stores.tenant, intent);
  const settle = async (lease: Lease, state: 'succeeded' | 'failed', ref: string) =>
    stores.effects.settle(stores.tenant, lease, { state, ref, how: 'replied' });
  const row = async ({ key }: Intent) =>
    stores.db
      .selectFrom('effects')
      .select(['state', 'ref', 'attempt', 'run_id'])
      .where('tenant', '=', stores.tenant)
      .where('key', '=', key)
      .executeTakeFirst();

  const ask = async (approvedHash: string | null, state: 'approved' | 'rejected' | null): Promise<string> => {
    const id = randomId('approval');
    const asked = { id, runId: 'r', turn: 1, callIndex: 0, tool: 'pay', argsHash: 'a', argsRef: 'ref' };
    const policy = { rule: 'any', release: 'any', deadlineMs: 60_000, onExpiry: 'reject' } as const;
    await stores.approvals.request(stores.tenant, { ...asked, ...policy });
    if (state === null) return id;
    const decided = { id, state, principal: 'bea', messageId: 'm', reason: null, approvedRef: null, resultRef: null };
    await stores.approvals.settle(stores.tenant, { ...decided, approvedHash });
    return id;
  };

  it('lets one of ten attempts at the same moment send; the others wait for its deadline', async () => {
    const intent = intend();
    const begun = await Promise.all(Array.from({ length: 10 }, async () => begin(again(intent))));
    assert.equal(begun.filter(({ kind }) => kind === 'send').length, 1);
    const waits = begun.flatMap((each) => (each.kind === 'wait' ? [each.waitMs] : []));
    assert.equal(waits.length, 9);
    assert.ok(waits.every((waitMs) => waitMs > 9_000 && waitMs <= 10_250));
    const audit = stores.db.selectFrom('audit').select('action').where('target', '=', intent.key);
    assert.deepEqual(await audit.execute(), [{ action: 'effect.intend' }]);
  });

  it('gives the recorded outcome to every later attempt of the same call', async () => {
    for (const state of ['succeeded', 'failed'] as const) {
      const intent = intend();
      await settle(leaseOf(await begin(intent)), state, 'the-result');
      assert.deepEqual(await begin(again(intent)), {
        kind: 'recorded',
        ref: 'the-result',
        isError: state === 'failed',
      });
    }
  });

  it('says already-done to another run with the same business key, and lets it try where the first failed', async () => {
    const intent = intend();
    await settle(leaseOf(await begin(intent)), 'succeeded', 'the-result');
    const begun = await begin(intend({ key: intent.key }));
    assert.ok(begun.kind === 'already-done' && begun.runId === intent.runId);
    const failed = intend();
    await settle(leaseOf(await begin(failed)), 'failed', 'no-money');
    const second = leaseOf(await begin(intend({ key: failed.key })));
    assert.equal(second.attempt, 2);
  });

  it('says already-done to a run whose send was overtaken by another run with the same key', async () => {
    const first = intend({ destinationHoldsKeys: true });
    const firstLease = leaseOf(await begin(first));
    const second = intend({ key: first.key, destinationHoldsKeys: true });
    const secondLease = leaseOf(await begin(second));
    assert.equal((await row(first))?.run_id, second.runId);
    assert.deepEqual(await settle(firstLease, 'succeeded', 'of-the-first'), {
      kind: 'settled',
      state: 'succeeded',
      ref: 'of-the-first',
    });
    assert.equal((await row(first))?.run_id, first.runId);
    const settled = await settle(secondLease, 'succeeded', 'of-the-second');
    assert.ok(settled.kind === 'already-done' && settled.runId === first.runId);
    assert.deepEqual(await begin(again(first)), { kind: 'recorded', ref: 'of-the-first', isError: false });
    assert.equal((await begin(again(second))).kind, 'already-done');
  });

  it('says already-done to a run that could not send while another run did', async () => {
    const first = intend();
    await stores.effects.closeAttempt(stores.tenant, leaseOf(await begin(first)), 'not-sent', 'away');
    const second = intend({ key: first.key });
    await settle(leaseOf(await begin(second)), 'succeeded', 'of-the-second');
    const begun = await begin(again(first));
    assert.ok(begun.kind === 'already-done' && begun.runId === second.runId);
    assert.equal(await stores.effects.keyOf(stores.tenant, first), first.key);
  });

  it('does not let the refusal of one run stand against the success of another', async () => {
    const first = intend({ destinationHoldsKeys: true });
    const firstLease = leaseOf(await begin(first));
    const secondLease = leaseOf(await begin(intend({ key: first.key, destinationHoldsKeys: true })));
    assert.deepEqual(await settle(firstLease, 'failed', 'refused'), { kind: 'superseded' });
    await settle(secondLease, 'failed', 'refused');
    assert.deepEqual(await settle(firstLease, 'succeeded', 'late'), {
      kind: 'settled',
      state: 'succeeded',
      ref: 'late',
    });
    assert.equal((await row(first))?.run_id, first.runId);
  });

  it('settles what a refused call has sent, and sends nothing for it', async () => {
    assert.equal((await begin(intend({ maySend: false }))).kind, 'not-approved');
    const sent = intend({ sendWithinMs: 1, destinationHoldsKeys: true });
    await begin(sent);
    assert.equal((await begin(again(sent, { maySend: false }))).kind, 'wait');
    await sleep(AFTER_DEADLINE_MS);
    assert.equal((await begin(again(sent, { maySend: false, canReconcile: true }))).kind, 'reconcile');
    assert.equal((await begin(again(sent, { maySend: false }))).kind, 'unknown');
    const known = intend();
    await settle(leaseOf(await begin(known)), 'succeeded', 'the-result');
    assert.equal((await begin(again(known, { maySend: false }))).kind, 'recorded');
  });

  it('withdraws a refused call that was certainly not sent', async () => {
    const intent = intend();
    await stores.effects.closeAttempt(stores.tenant, leaseOf(await begin(intent)), 'not-sent', 'away');
    assert.equal((await begin(again(intent, { maySend: false }))).kind, 'withdraw');
    const begun = await begin(again(intent, { maySend: false }));
    assert.ok(begun.kind === 'withdraw');
    await settle(begun.lease, 'failed', 'refused');
    assert.deepEqual(await begin(again(intent)), { kind: 'recorded', ref: 'refused', isError: true });
  });

  it('declares nothing unknown by the word of an attempt that lost its lease', async () => {
    const intent = intend({ destinationHoldsKeys: true });
    const first = leaseOf(await begin(intent));
    await begin(again(intent));
    assert.equal(await stores.effects.declareUnknown(stores.tenant, first, 'cannot tell'), false);
    assert.equal((await row(intent))?.state, 'intended');
  });

  it('declares an attempt unknown that died after its intent, once it can no longer send', async () => {
    const intent = intend({ sendWithinMs: 1 });
    await begin(intent);
    assert.equal((await begin(again(intent))).kind, 'wait');
    await sleep(AFTER_DEADLINE_MS);
    assert.equal((await begin(again(intent))).kind, 'unknown');
    assert.equal((await row(intent))?.state, 'unknown');
  });

  it('reconciles such an attempt where the tool can, and sends again only on a never', async () => {
    const intent = intend({ sendWithinMs: 1, canReconcile: true });
    const dead = leaseOf(await begin(intent));
    await sleep(AFTER_DEADLINE_MS);
    const begun = await begin(again(intent, { sendWithinMs: 10_000 }));
    assert.equal(begun.kind, 'reconcile');
    const lease = leaseOf(begun);
    assert.equal(await stores.effects.sendAfterNever(stores.tenant, again(intent), dead), null);
    const next = await stores.effects.sendAfterNever(stores.tenant, again(intent, { sendWithinMs: 10_000 }), lease);
    assert.equal(next?.attempt, 3);
    assert.equal(await stores.effects.sendAfterNever(stores.tenant, again(intent), lease), null);
  });

  it('sends again at once where the destination holds keys, or where the first certainly did not send', async () => {
    const held = intend({ destinationHoldsKeys: true });
    await begin(held);
    assert.equal((await begin(again(held))).kind, 'send');
    const unsent = intend();
    const lease = leaseOf(await begin(unsent));
    await stores.effects.closeAttempt(stores.tenant, lease, 'not-sent', 'refused connection');
    assert.equal((await begin(again(unsent))).kind, 'send');
    const lost = intend();
    await stores.effects.closeAttempt(stores.tenant, leaseOf(await begin(lost)), 'lost', 'reset');
    assert.equal((await begin(again(lost))).kind, 'wait');
  });

  it('fences off an attempt that slept through its deadline or lost its lease', async () => {
    const slept = intend({ sendWithinMs: 1 });
    const lease = leaseOf(await begin(slept));
    await sleep(20);
    assert.equal(await stores.effects.holdsLease(stores.tenant, lease), false);
    const taken = intend({ destinationHoldsKeys: true });
    const first = leaseOf(await begin(taken));
    assert.equal(await stores.effects.holdsLease(stores.tenant, first), true);
    const second = leaseOf(await begin(again(taken)));
    assert.deepEqual(
      [await stores.effects.holdsLease(stores.tenant, first), await stores.effects.holdsLease(stores.tenant, second)],
      [false, true],
    );
    assert.equal(await stores.effects.holdsLease('another-tenant', second), false);
  });

  it('keeps the first outcome, and takes a late reply as evidence for an unknown one', async () => {
    const intent = intend();
    const lease = leaseOf(await begin(intent));
    await settle(lease, 'succeeded', 'first');
    assert.deepEqual(await settle(lease, 'failed', 'second'), {
      kind: 'settled',
      state: 'succeeded',
      ref: 'first',
    });
    const late = intend();
    const lateLease = leaseOf(await begin(late));
    await stores.effects.declareUnknown(stores.tenant, lateLease, 'cannot tell');
    assert.deepEqual(await settle(lateLease, 'succeeded', 'late'), {
      kind: 'settled',
      state: 'succeeded',
      ref: 'late',
    });
    assert.deepEqual(await begin(again(late)), { kind: 'recorded', ref: 'late', isError: false });
  });

  it("settles an unknown effect by a person's word, once, and nothing else", async () => {
    const intent = intend();
    const lease = leaseOf(await begin(intent));
    const word = { state: 'succeeded', ref: 'seen', principal: 'bea', reason: 'it is in the bank statement' } as const;
    assert.deepEqual(await stores.effects.resolve(stores.tenant, intent.key, word), {
      kind: 'not-unknown',
      state: 'intended',
    });
    await stores.effects.declareUnknown(stores.tenant, lease, 'cannot tell');
    assert.deepEqual(await stores.effects.resolve(stores.tenant, intent.key, word), { kind: 'resolved' });
    assert.deepEqual(await stores.effects.resolve(stores.tenant, intent.key, { ...word, state: 'failed' }), {
      kind: 'not-unknown',
      state: 'succeeded',
    });
    const audit = await stores.db
      .selectFrom('audit')
      .select(['principal', 'action', 'after'])
      .where('target', '=', intent.key)
      .where('action', '=', 'effect.resolve')
      .execute();
    assert.deepEqual(audit, [
      { principal: 'bea', action: 'effect.resolve', after: { state: 'succeeded', reason: word.reason } },
    ]);
  });

  it("settles by a person's word what was left intended, once nobody can send it any more", async () => {
    const intent = intend({ sendWithinMs: 1 });
    await begin(intent);
    await sleep(300);
    const word = { state: 'failed', ref: 'seen', principal: 'bea', reason: 'the run was stopped' } as const;
    assert.deepEqual(await stores.effects.resolve(stores.tenant, intent.key, word), { kind: 'resolved' });
  });

  it('refuses a write whose approval is missing, pending, rejected or for other arguments', async () => {
    for (const id of ['missing', await ask(null, null), await ask(null, 'rejected'), await ask('other', 'approved')]) {
      const intent = intend({ approvalId: id });
      assert.equal((await begin(intent)).kind, 'not-approved');
      assert.equal(await row(intent), undefined);
    }
    assert.equal((await begin(intend({ approvalId: await ask('a', 'approved') }))).kind, 'send');
  });

  it('keeps the same key of two tenants apart', async () => {
    const intent = intend();
    await begin(intent);
    assert.equal((await stores.effects.begin(randomId('tenant'), again(intent))).kind, 'send');
  });

  it('refuses in the table itself a state that it does not know', async () => {
    const intent = intend();
    await begin(intent);
    const change = stores.db
      .updateTable('effects')
      .set({ state: 'perhaps' as 'unknown' })
      .where('key', '=', intent.key);
    await assert.rejects(change.execute(), { code: '23514' });
  });
});
