// Goal: a write that a run had begun when it ended is settled by its successor, and sent again only as the approval of the person allows.
// Method: a destination that applies a payment, loses its reply and is then away; the run is stopped while it is blocked on it.
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/domain/run/limits.ts';
import { stateOf, untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { LARGE, openTakingUp, type TakingUp } from '../support/workflow/taking-up.ts';
import { until } from '../support/workflow/until.ts';

describe('a write that an ended run had begun', function () {
  this.timeout(120_000);
  const { retryMs } = LIMITS;
  let lab: TakingUp;
  before(async () => {
    // Trouble that outlasts the retries shall not take a minute here.
    (LIMITS as { retryMs: number }).retryMs = 300;
    lab = await openTakingUp();
  });
  after(async () => {
    (LIMITS as { retryMs: number }).retryMs = retryMs;
    await lab?.close();
  });

  /** Ends a run whose approved payment was applied, without the run knowing. */
  const leave = async (name: string): Promise<string> => {
    const away = Array.from({ length: 100 }, () => ({ kind: 'unavailable' }) as const);
    lab.destination.expect(name, 'keyed', { kind: 'reset-after' }, ...away);
    const handle = await lab.startPlan({ turns: [[{ tool: 'payKeyed', input: { case: name, amount: LARGE } }]] });
    const pending = await untilAsked(lab.platform, handle, 'approval');
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    await untilPhase(handle, 'blocked');
    await update(handle, 'requestStop', { reason: 'tomorrow' });
    assert.equal((await handle.result()).outcome.kind, 'cancelled');
    assert.equal(lab.destination.of(name).applied, 1);
    return handle.workflowId;
  };

  /** Lets the destination answer again. What it has applied it knows. */
  const comeBack = async (name: string, key: string): Promise<void> => {
    const url = `${lab.destination.url}/pay/${name}`;
    for (;;) {
      const headers = { 'idempotency-key': key, attempt: '0' };
      const { status } = await fetch(url, { method: 'POST', headers, body: '{}' });
      if (status === 200) return;
    }
  };
  const keyOf = (name: string): string => lab.destination.arrivals.find((arrival) => arrival.case === name)?.key ?? '';

  it('is sent again with its key under the policy that it was approved under', async () => {
    const name = 'begun-same';
    const id = await leave(name);
    await comeBack(name, keyOf(name));
    const successor = await lab.retry(id);
    assert.equal((await successor.result()).answer?.preview, 'done after 1 results');
    const arrivals = lab.destination.arrivals.filter((arrival) => arrival.case === name);
    assert.equal(arrivals.filter(({ outcome }) => outcome === 'applied').length, 1);
    assert.deepEqual([arrivals.at(-1)?.outcome, arrivals.at(-1)?.key], ['repeated', keyOf(name)]);
    const asked = lab.platform.db.selectFrom('approvals').select('id').where('run_id', '=', successor.workflowId);
    assert.deepEqual(await asked.execute(), []);
  });

  it('is not sent again under another policy: a person says what became of it', async () => {
    const name = 'begun-other';
    const id = await leave(name);
    await comeBack(name, keyOf(name));
    const { arrivals } = lab.destination.of(name);
    await lab.deploy({ instructions: 'Be careful.' });
    const successor = await lab.retry(id);
    const key = await until('the unknown effect', async () => (await stateOf(successor)).unknownEffect);
    assert.equal(key, keyOf(name));
    assert.equal(lab.destination.of(name).arrivals, arrivals);
    await lab.perdure('effect', 'resolve', key, '--as', 'succeeded', '--reason', 'It is there.');
    assert.equal((await successor.result()).outcome.kind, 'completed');
    assert.equal(lab.destination.of(name).applied, 1);
  });
});
