// Goal: the receipt of a run is what its provider charged, to the last token and digit, however often its workers were killed.
// Method: kills real workers at random moments (the seed is printed) and holds `run show --receipt` against the provider's own ledger.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../../agents/support/shop/random.ts';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import type { ReceiptView } from '../../src/cli/format/receipt.ts';
import type { ReceiptAttempt } from '../../src/domain/run/receipt.ts';
import { capturedCli, type Ended } from '../cli/captured-cli.ts';
import { type ArmedFailpoints, type Group, type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { answerByPlan } from '../support/crash/model-answer.ts';
import type { Plan } from '../support/crash/plan.ts';
import { chargedFor, pricedEnvironment, receiptOf, sumPico, usageOfCall } from '../support/crash/receipts.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import {
  type LedgerEntry,
  type ProviderServer,
  rateLimited,
  startProviderServer,
  type WireReply,
} from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';

const KILLS = 10;
const TURNS = 26;

/** With a provider that can be asked; each kill takes some seconds. */
const KILLS_ASKED = 5;

/** Give the seed of a run that failed to see the same choices again. */
const SEED = Number(process.env['PERDURE_TEST_SEED'] || randomInt(1, 2 ** 31));

type Shown = Ended & { readonly receipt: ReceiptView & { readonly addsUp: boolean } };

describe('the receipt of a run', function () {
  this.timeout(600_000);
  let lab: Lab;
  let provider: ProviderServer;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;

  before(async () => {
    const servers = await startTestServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    perdure = capturedCli({
      TEMPORAL_ADDRESS: servers.temporal.address,
      TEMPORAL_NAMESPACE: servers.temporal.namespace,
      DATABASE_URL: servers.postgres.url,
    });
  });

  after(async () => {
    await lab.close();
    await provider.close();
  });

  it(`is what the provider charged, after ${KILLS} random kills (seed ${SEED})`, async () => {
    const { handle, ledger } = await runUnderKills({ kills: KILLS, turns: TURNS, env: pricedEnvironment(provider) });
    const { receipt, out } = await addedUp(handle, ledger);
    const { attempts } = receipt;
    assert.equal(new Set(attempts.flatMap(({ worker }) => worker ?? [])).size, KILLS + 1, 'each worker had its share');
    assertEqualsLedger(attempts, ledger);
    const killed = attempts.filter(({ kind, outcome }) => kind === 'model' && outcome === 'killed');
    assert.ok(
      killed.every(({ reservation }) => reservation?.state === 'held'),
      out,
    );
    assert.equal(receipt.temporal.kind, 'counted');
    assert.ok(receipt.temporal.kind === 'counted' && receipt.temporal.actions > TURNS * 2);
  });

  it(`is exact where the provider can be asked by request id (seed ${SEED})`, async () => {
    const env = { ...pricedEnvironment(provider), PERDURE_MODEL_USAGE_URL: `${provider.baseUrl}/usage/{id}` };
    const { handle, ledger } = await runUnderKills({
      kills: KILLS_ASKED,
      turns: 2 * KILLS_ASKED + 3,
      env,
      // Whatever the moments are, one reply is lost.
      armed: 'model:replied=kill',
    });
    const { receipt, out } = await addedUp(handle, ledger);
    const charged = ledger.filter((entry) => chargedFor(entry) !== null);
    const settled = receipt.sums.states.find(({ state }) => state === 'settled');
    assert.equal(settled?.pico, String(sumPico(charged.map((entry) => chargedFor(entry)?.pico ?? 0n))), out);
    assert.equal(settled?.attempts, charged.length, 'what is still held never came to the provider');
    const asked = receipt.attempts.filter(
      ({ kind, outcome, reservation }) => kind === 'model' && outcome === 'killed' && reservation?.state === 'settled',
    );
    assert.ok(asked.length > 0, out);
  });

  it('shows what was lost, kept, refused, unusable and retried, each with its money', async () => {
    provider.always((request) => reply(provider.ledger.length, answerByPlan()(request) as WireReply));
    const before = provider.ledger.length;
    const group = lab.group('kinds');
    const env = { ...pricedEnvironment(provider), PERDURE_TURNS_PER_EXECUTION: '2' };
    // The first reply is lost with its worker; the second is kept, and its worker dies before Temporal hears of it.
    const first = group.worker('model:replied=kill', env);
    await first.ready;
    const handle = await group.start(readsOf(4, 5));
    await first.ended;
    const second = group.worker('model:settled=kill', env);
    await second.ended;
    provider.next(
      rateLimited(0),
      { kind: 'reset', when: 'after-work' },
      { kind: 'reply', text: '', usage: usageOfCall(7) },
    );
    await finish(group, handle);
    const { receipt, exitCode, out } = await showReceipt(handle);
    assert.equal(exitCode, 0, out);
    assertEqualsLedger(receipt.attempts, provider.ledger.slice(before));
    assert.ok(receipt.temporal.kind === 'counted' && receipt.temporal.executions === 3, 'all of the chain is counted');
    assert.deepEqual(
      receipt.attempts.flatMap(({ kind, turn, outcome, reservation, cause }) =>
        kind === 'model' && turn <= 2 ? [[turn, outcome, cause, reservation?.state ?? null]] : [],
      ),
      [
        [1, 'killed', null, 'held'],
        [1, 'replied', null, 'settled'],
        [1, 'kept', null, null],
        [2, 'failed', 'model-rate-limited', 'released'],
        [2, 'failed', 'model-error', 'held'],
        [2, 'failed', 'model-error', 'settled'],
        [2, 'replied', null, 'settled'],
      ],
    );
  });

  it('shows a call that the budget refused, and sums it for nothing', async () => {
    const group = lab.group('refused');
    const worker = group.worker('', pricedEnvironment(provider));
    await worker.ready;
    // The first reply is so long that not even a short last answer can be paid after it.
    const text = 'Let me look. '.repeat(6_000);
    provider.always((request) => reply(provider.ledger.length, { ...(answerByPlan()(request) as WireReply), text }));
    const handle = await group.start(readsOf(8, 5), { costPico: '12000000000' });
    const end = await handle.result();
    assert.deepEqual(end.outcome, { kind: 'budget-exhausted', dimension: 'usd' });
    await group.close();
    const { receipt, exitCode, out } = await showReceipt(handle);
    assert.equal(exitCode, 0, out);
    assert.equal(receipt.attempts[0]?.reservation?.state, 'settled');
    const last = receipt.attempts.at(-1);
    assert.deepEqual([last?.kind, last?.outcome, last?.reservation], ['model', 'budget-refused', null]);
  });

  it('adds up without Temporal, and names the row where it does not', async () => {
    const group = lab.group('plain');
    const worker = group.worker();
    await worker.ready;
    const handle = await group.start(readsOf(2, 5));
    await handle.result();
    await group.close();
    const simulated = await showReceipt(handle);
    assert.equal(simulated.exitCode, 0, simulated.out);
    assert.match(simulated.out, /simulated: nothing was charged/);
    await forget(handle);
    const forgotten = await showReceipt(handle);
    assert.equal(forgotten.exitCode, 0, forgotten.out);
    assert.equal(forgotten.receipt.temporal.kind, 'not-known');
    assert.match(forgotten.out, /Temporal: actions are not known, Temporal has forgotten the run/);
    assert.deepEqual(forgotten.receipt.attempts, simulated.receipt.attempts);
    const [attempt] = simulated.receipt.attempts;
    const { db } = lab.stores;
    await db
      .updateTable('budget_reservations')
      .set({ actual_pico: BigInt(attempt?.costPico ?? 0) + 1n })
      .where('tenant', '=', TENANT)
      .where('id', '=', attempt?.reservation?.id ?? '')
      .execute();
    const wrong = await showReceipt(handle);
    assert.deepEqual([wrong.exitCode, wrong.receipt.addsUp], [1, false]);
    assert.match(
      wrong.out,
      new RegExp(
        `It does not add up:\n  turn 1, rehearsal:crash, attempt 1 \\(${attempt?.id}\\): the attempt says \\d+ pico`,
      ),
    );
    assert.match(wrong.out, new RegExp(`budget account of run ${handle.workflowId}: spent, in pico-dollars`));
  });

  /** Runs a plan of reads whose workers are killed one after the other, each when it has asked the model once or twice and a moment more. */
  async function runUnderKills(trouble: {
    readonly kills: number;
    readonly turns: number;
    readonly env: Record<string, string>;
    readonly armed?: ArmedFailpoints;
  }): Promise<{ readonly handle: Handle; readonly ledger: readonly LedgerEntry[] }> {
    const { kills, turns, env, armed = '' } = trouble;
    const { integer: between } = createRandom(SEED);
    provider.always((request) => reply(provider.ledger.length, answerByPlan(between(20, 250))(request) as WireReply));
    const group = lab.group('receipt');
    const before = provider.ledger.length;
    const handle = await group.start(readsOf(turns, 30));
    for (let kill = 1; kill <= kills; kill += 1) {
      const worker = group.worker(kill === 1 ? armed : '', env);
      await worker.ready;
      const calls = provider.ledger.length;
      const wanted = kill === 1 ? 1 : between(1, 2);
      await until(`${wanted} calls after kill ${kill - 1}`, () => provider.ledger.length >= calls + wanted);
      await sleep(between(0, 300));
      await worker.kill();
    }
    await finish(group, handle, env);
    return { handle, ledger: provider.ledger.slice(before) };
  }

  async function addedUp(handle: Handle, ledger: readonly LedgerEntry[]): Promise<Shown> {
    const shown = await showReceipt(handle);
    const { states } = shown.receipt.sums;
    printTable(`a receipt after random kills, seed ${SEED}`, [
      ['reservations', 'attempts', 'pico-dollars'],
      ...states.map(({ state, attempts, pico }) => [state, String(attempts), pico]),
      ['the provider', String(ledger.length), String(sumPico(ledger.map((entry) => chargedFor(entry)?.pico ?? 0n)))],
    ]);
    assert.equal(shown.exitCode, 0, shown.out);
    assert.match(shown.out, /^It adds up: the settled attempts come to /m);
    return shown;
  }

  async function finish(group: Group, handle: Handle, env = pricedEnvironment(provider)): Promise<void> {
    const worker = group.worker('', env);
    await worker.ready;
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    await group.close();
  }

  async function showReceipt({ workflowId }: Handle): Promise<Shown> {
    const asJson = await perdure('run', 'show', workflowId, '--receipt', '--json');
    const asText = await perdure('run', 'show', workflowId, '--receipt');
    assert.equal(asText.exitCode, asJson.exitCode);
    return { ...asText, receipt: JSON.parse(asJson.out) as Shown['receipt'] };
  }
});

/** Makes Temporal forget a run, as it does when its retention is over. */
async function forget({ workflowId }: Handle): Promise<void> {
  const { temporal } = await startTestServers();
  const connection = connectLocally(temporal.address);
  const { namespace } = temporal;
  const workflowExecution = { workflowId };
  await connection.workflowService.deleteWorkflowExecution({ namespace, workflowExecution });
  await until('Temporal has forgotten the run', async () => {
    const described = connection.workflowService.describeWorkflowExecution({
      namespace,
      execution: workflowExecution,
    });
    return described.then(
      () => false,
      () => true,
    );
  });
  await connection.close();
}

/** Makes a plan of reads, none like the one before it. */
function readsOf(turns: number, ms: number): Plan {
  return { turns: Array.from({ length: turns }, (_, n) => [{ tool: 'lookUp', input: { case: `c${n}`, ms } }]) };
}

function reply(n: number, wire: WireReply) {
  return { ...wire, kind: 'reply' as const, usage: usageOfCall(n) };
}

/** Holds every attempt against the entry that the provider made under its request id. */
function assertEqualsLedger(attempts: readonly ReceiptAttempt[], ledger: readonly LedgerEntry[]): void {
  const entries = new Map(ledger.map((entry) => [entry.clientRequestId, entry]));
  assert.equal(entries.size, ledger.length, 'every request has an id of its own');
  const reserved = attempts.filter(({ reservation }) => reservation !== null);
  const known = new Set(reserved.map(({ reservation }) => reservation?.id));
  assert.deepEqual(
    ledger.filter(({ clientRequestId }) => !known.has(clientRequestId ?? '')),
    [],
    'a call that no receipt shows',
  );
  for (const attempt of reserved) {
    const entry = entries.get(attempt.reservation?.id ?? '');
    const charged = entry === undefined ? null : chargedFor(entry);
    const { state, worstPico } = attempt.reservation ?? {};
    if (state === 'settled') assert.deepEqual(receiptOf(attempt), charged, `attempt ${attempt.id}`);
    else if (state === 'released') assert.equal(charged, null, `attempt ${attempt.id} was charged`);
    else assert.ok((charged?.pico ?? 0n) <= BigInt(worstPico ?? 0), `attempt ${attempt.id} holds too little`);
  }
  const of = (state: string, amount: (attempt: ReceiptAttempt) => string | null | undefined): bigint =>
    sumPico(
      reserved.filter(({ reservation }) => reservation?.state === state).map((each) => BigInt(amount(each) ?? 0)),
    );
  const settled = of('settled', ({ reservation }) => reservation?.actualPico);
  const held = of('held', ({ reservation }) => reservation?.worstPico);
  const total = sumPico(ledger.map((entry) => chargedFor(entry)?.pico ?? 0n));
  assert.ok(settled <= total && total <= settled + held, `${settled} ≤ ${total} ≤ ${settled + held}`);
}
