// Goal: what a run holds for a call whose reply was lost is settled after the run has ended, where its provider can be asked, and stays held elsewhere.
// Method: real runs whose first reply is lost at a provider over HTTP, and workers that start when the runs are over.
import assert from 'node:assert/strict';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

/** A token at the ceiling of one USD for a million. */
const PICO_PER_TOKEN = 1_000_000n;

describe('money that is held for a run that has ended', function () {
  this.timeout(60_000);
  let provider: ProviderServer;
  let platform: Platform;
  const env: Record<string, string> = { PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };

  before(async () => {
    provider = await startProviderServer();
    env['PERDURE_MODEL_BASE_URL'] = provider.baseUrl;
    const standard = { id: 'openai-compatible:lossy', outputTokensMax: 100, contextTokensMax: 10_000 };
    platform = await startPlatform({ agents: [testAgent('lossy', { models: { standard } })], env });
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  const held = async ({ workflowId }: RunHandle) =>
    (await platform.stores.budgets.held(platform.tenant)).filter(({ runId }) => runId === workflowId);
  const totalOf = async ({ workflowId }: RunHandle) => platform.stores.budgets.totalOf(platform.tenant, workflowId);

  it('is settled by what the provider knows, once, by however many workers that start later', async () => {
    provider.next({ kind: 'reset', when: 'after-work' }, { kind: 'reply', text: 'Done.' });
    const lost = await platform.start('lossy', 'Hello.');
    assert.equal((await lost.result()).outcome.kind, 'completed');
    provider.next({ kind: 'reset', when: 'before-work' }, { kind: 'reply', text: 'Done.' });
    const unseen = await platform.start('lossy', 'Hello again.');
    assert.equal((await unseen.result()).outcome.kind, 'completed');
    const before = await totalOf(lost);
    assert.deepEqual([(await held(lost)).length, (await held(unseen)).length], [1, 1]);
    const requests = provider.ledger.length;
    const [first] = provider.ledger;
    const charged = first?.charged ?? assert.fail('the provider charged nothing');

    env['PERDURE_MODEL_USAGE_URL'] = `${provider.baseUrl}/usage/{id}`;
    await Promise.all([platform.startWorkers(), platform.startWorkers()]);
    await until('the settlement', async () => (await held(lost)).length === 0);
    const tokens = charged.prompt_tokens + charged.completion_tokens;
    const after = await totalOf(lost);
    assert.deepEqual(after, {
      costPico: String(BigInt(before.costPico) + BigInt(tokens) * PICO_PER_TOKEN),
      tokens: before.tokens + tokens,
    });
    assert.equal((await held(unseen)).length, 1, 'of this call the provider knows nothing');
    assert.equal(provider.ledger.length, requests, 'no model was called');
  });
});
