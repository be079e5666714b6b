// Goal: whatever happens to a run, each of its prompts begins with the whole one before, so that its provider reads that from its cache.
// Method: a run on the real servers that is steered, repaired, asked for an approval, continued as new and closed, on a server that caches by the provider's rules.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { type CachingServer, startCachingServer } from '../support/prompt-cache/caching-server.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { lookupTool, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { untilAsked, update } from '../support/workflow/talk.ts';

const call = (turn: number, name: string, input: object) => ({
  toolCalls: [{ id: `c${turn}`, name, input: input as never }],
});
const ANSWER = JSON.stringify({ paid: true });

describe('the prompts of one run', () => {
  let platform: Platform;
  let server: CachingServer;
  before(async () => {
    server = await startCachingServer((turn) => {
      if (turn === 2) return { text: 'Paid, I think.' };
      if (turn === 4) return call(turn, 'pay', { amount: 900 });
      // Called again in spite of the closing words: it is told that nothing is called any more.
      if (turn === 5) return call(turn, 'lookup', { id: 'late' });
      return turn === 6 ? { text: ANSWER } : call(turn, 'lookup', { id: `k${turn}` });
    });
    const agent = testAgent('payer', {
      models: { standard: { id: 'anthropic:claude-sonnet-4-5', outputTokensMax: 500, contextTokensMax: 200_000 } },
      instructions: 'You look things up and pay with care. '.repeat(150),
      tools: [lookupTool('lookup'), payTool({ arrived: [] })],
      approvals: [{ name: 'above-500', tool: 'pay', when: { path: 'amount', above: 500 } }],
      exit: { goals: [{ tool: 'pay' }] },
      output: z.strictObject({ paid: z.boolean() }),
    });
    const env = { ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: 'sk-test', PERDURE_TURNS_PER_EXECUTION: '2' };
    platform = await startPlatform({ agents: [agent], env });
  });
  after(async () => {
    await platform?.close();
    await server?.close();
  });

  it('begin with the whole prompt before, and it is read', async () => {
    const handle = await platform.start('payer', 'Pay 900.');
    const pending = await untilAsked(platform, handle, 'approval');
    await update(handle, 'steer', { text: 'Be quick.' });
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.answer?.preview, server.refused], [{ kind: 'completed' }, ANSWER, []]);
    for (const [index, { prefixes, charged }] of server.requests.entries()) {
      const before = server.requests[index - 1]?.prefixes;
      if (before === undefined) continue;
      assert.deepEqual(
        prefixes.hashes.slice(0, before.hashes.length),
        before.hashes,
        `request ${index + 1} begins otherwise`,
      );
      assert.equal(charged.read, before.tokens.at(-1), `request ${index + 1} does not read all of the one before`);
    }
    assert.equal(server.requests.length, 6);
  });
});
