// Goal: a worker that dies in a compaction loses no summary that was paid for, and what a lost call may have cost stays held.
// Method: real worker processes on a provider that fills the context by its own count; each is killed at a failpoint of the compaction's call.
import assert from 'node:assert/strict';
import { type ArmedFailpoints, type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { providerEnvironment } from '../support/crash/model-answer.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';
import { isSummaryRequest } from '../support/small-context.ts';

/** Of the context of 100,000 tokens that the agent of these tests has. */
const LONG = { prompt_tokens: 80_000, completion_tokens: 10 };

/** Arguments worth a summary. */
const WORDS = 'so many words '.repeat(1_000);

describe('a worker that is killed in a compaction', function () {
  this.timeout(120_000);
  let lab: Lab;
  let provider: ProviderServer;

  before(async () => {
    lab = await openLab(await startTestServers());
    provider = await startProviderServer();
  });
  after(async () => {
    await lab.close();
    await provider.close();
  });

  /** Two turns fill the context, a summary makes room, the third turn answers. The third paid call of the run is the summary. */
  async function killInCompaction(armed: ArmedFailpoints) {
    const from = provider.ledger.length;
    let made = 0;
    provider.always((request) => {
      if (isSummaryRequest(request)) return { kind: 'reply', text: 'They looked twice.' };
      made += 1;
      if (made > 2) return { kind: 'reply', text: 'Done.' };
      const call = { name: 'lookUp', arguments: { case: `${made} ${WORDS}`, ms: 10 } };
      return { kind: 'reply', toolCalls: [call], ...(made === 2 ? { usage: LONG } : {}) };
    });
    const group = lab.group('compact');
    const env = providerEnvironment(provider.baseUrl);
    const worker = group.worker(armed, env);
    await worker.ready;
    const handle = await group.start({ turns: [] });
    await worker.ended;
    await group.worker('', env).ready;
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    await group.close();
    const calls = provider.ledger.slice(from);
    const { spent, held, rows } = await moneyOf(lab, handle);
    return { summaries: calls.filter(({ body }) => isSummaryRequest(body)).length, calls, spent, held, rows };
  }

  for (const place of ['model:settled', 'model:settling', 'model:replied'] as const) {
    it(`goes on and pays what it must: ${place}`, async () => {
      const { summaries, calls, spent, held, rows } = await killInCompaction(`${place}=kill@3`);
      // A summary that was settled is never asked for again; one that was lost in the killed process is.
      const isLost = place !== 'model:settled';
      assert.equal(summaries, isLost ? 2 : 1);
      const charged = calls.reduce(
        (sum, { charged: usage }) => sum + (usage === null ? 0 : usage.prompt_tokens + usage.completion_tokens),
        0,
      );
      assert.deepEqual(rows, ['settled', 'settled', ...(isLost ? ['held'] : []), 'settled', 'settled']);
      assert.ok(spent <= charged && charged <= spent + held, `${spent} ≤ ${charged} ≤ ${spent} + ${held}`);
      if (!isLost) assert.deepEqual([spent, held], [charged, 0]);
    });
  }
});

async function moneyOf({ stores: { db } }: Lab, { workflowId }: Handle) {
  const account = await db
    .selectFrom('budget_accounts')
    .select(['spent_tokens', 'held_tokens'])
    .where('kind', '=', 'run')
    .where('tenant', '=', TENANT)
    .where('id', '=', workflowId)
    .executeTakeFirstOrThrow();
  const reservations = await db
    .selectFrom('budget_reservations')
    .select('state')
    .where('tenant', '=', TENANT)
    .where('run_id', '=', workflowId)
    .orderBy('opened_at')
    .execute();
  return {
    spent: Number(account.spent_tokens),
    held: Number(account.held_tokens),
    rows: reservations.map(({ state }) => state),
  };
}
