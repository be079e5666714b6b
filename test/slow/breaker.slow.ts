// Goal: a run without another model waits for its own without calling it, and goes on by itself when it is back.
// Method: real servers; a provider that fails five times and then works, and its own count of calls.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMs } from '../../src/activities/model/routing/breaker-machine.ts';
import { type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';

describe('a run whose only model fails', function () {
  this.timeout(120_000);
  let provider: ProviderServer;
  let platform: Platform;

  before(async () => {
    provider = await startProviderServer();
    const standard = { id: 'openai-compatible:alone', outputTokensMax: 100, contextTokensMax: 10_000 };
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
    platform = await startPlatform({ agents: [testAgent('alone', { models: { standard } })], env });
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  it('waits without calling it, and goes on by itself', async () => {
    let isMended = false;
    const tries: number[] = [];
    provider.always(() => {
      tries.push(Date.now());
      return isMended ? { kind: 'reply', text: 'back' } : refusals.serverError;
    });
    const handle = await platform.start('alone', 'Who are you?');
    while (tries.length < 5) await sleep(50);
    isMended = true;
    assert.equal((await handle.result()).answer?.preview, 'back');
    assert.equal(tries.length, 6);
    assert.ok((tries[5] ?? 0) - (tries[4] ?? 0) >= openMs(1), 'it did not wait');
  });
});
