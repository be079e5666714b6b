// Goal: a summary that costs less in place is written by the run's own model at the end of the prompt that its provider has kept; what goes wrong there, or costs
// more, is done the other way.
// Method: real runs against a provider over HTTP that refuses long prompts; what it was asked is compared, word for word.
import assert from 'node:assert/strict';
import type { ModelPolicy } from '../../src/domain/model/model-policy.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { type Behaviour, type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import {
  CONTEXT_TOKENS,
  isInPlace,
  isSummaryRequest,
  REPLY_TOKENS,
  withSmallContext,
} from '../support/small-context.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';

const sized = { outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS };
const STANDARD = { id: 'openai:gpt-5-mini', ...sized };

const POLICIES: Readonly<Record<string, ModelPolicy>> = {
  reader: { standard: STANDARD },
  uncached: { standard: { ...STANDARD, promptCache: 'off' } },
  // A token of its input costs less than one that the other has kept.
  helped: { standard: { ...STANDARD, id: 'openai:gpt-4.1' }, small: { id: 'openai:gpt-5-nano', ...sized } },
};

describe('a summary in place', function () {
  this.timeout(60_000);
  let provider: ProviderServer;
  let platform: Platform;

  before(async () => {
    provider = await startProviderServer();
    const requirements = { latencyP95Ms: 3_600_000, costPerRunUsd: 10_000 };
    const limits = { turns: 2_000, toolCalls: 2_000, tokens: 1e12 };
    const tools = [lookupTool('lookup', (id) => `found ${id} `.padEnd(24_000, 'and so on. '))];
    platform = await startPlatform({
      agents: Object.entries(POLICIES).map(([name, models]) =>
        testAgent(name, { models, requirements, limits, tools }),
      ),
      env: { OPENAI_BASE_URL: provider.baseUrl, OPENAI_API_KEY: 'a-key' },
    });
  });
  after(async () => {
    await platform?.close();
    await provider?.close();
  });

  /** Looks up nine long results, one a turn. Gives what was asked, and the run. */
  const play = async (agent: string, inPlace: (time: number) => Behaviour) => {
    const from = provider.ledger.length;
    let [turns, times] = [0, 0];
    provider.always(
      withSmallContext((request) => {
        if (isInPlace(request)) return inPlace((times += 1));
        if (isSummaryRequest(request)) return { kind: 'reply', text: 'They looked things up.' };
        turns += 1;
        if (turns > 9) return { kind: 'reply', text: 'Done.' };
        return {
          kind: 'reply',
          text: `I look up A-${turns}.`,
          toolCalls: [{ name: 'lookup', arguments: { id: `A-${turns}` } }],
        };
      }),
    );
    const handle = await platform.start(agent, 'Look up nine orders.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.turns], [{ kind: 'completed' }, 10]);
    const account = platform.db
      .selectFrom('budget_accounts')
      .select(['spent_tokens', 'held_tokens'])
      .where('kind', '=', 'run')
      .where('id', '=', handle.workflowId);
    const { spent_tokens: spent, held_tokens: held } = await account.executeTakeFirstOrThrow();
    const charged = provider.ledger.slice(from).map((entry) => entry.charged);
    const tokens = charged.reduce(
      (sum, each) => sum + (each === null ? 0 : each.prompt_tokens + each.completion_tokens),
      0,
    );
    assert.deepEqual([Number(spent), Number(held)], [tokens, 0]);
    const requests = provider.ledger.slice(from).map(({ body }) => body);
    return { handle, requests };
  };

  it('asks at the end of the prompt before, whose bytes are the same, and goes on with the summary', async () => {
    const { requests, handle } = await play('reader', (time) => ({ kind: 'reply', text: `They looked up ${time}.` }));
    const places = requests.flatMap((request, index) => (isInPlace(request) ? [index] : []));
    assert.ok(places.length >= 2 && !requests.some(isSummaryRequest), `${places.length} in place`);
    for (const [time, place] of places.entries()) {
      const [before, asked, after] = requests.slice(place - 1, place + 2);
      const length = before?.messages.length ?? 0;
      assert.deepEqual(asked?.messages.slice(0, length), before?.messages);
      assert.deepEqual([asked?.tools, asked?.tool_choice], [before?.tools, before?.tool_choice]);
      const added = asked?.messages.slice(length).map(({ role }) => role);
      assert.deepEqual(added, ['assistant', 'tool', 'user']);
      assert.ok(JSON.stringify(after?.messages).includes(`They looked up ${time + 1}.`));
      assert.ok((after?.messages.length ?? 0) < length);
    }
    const timeline = await createRunReader(platform.stores).timeline(platform.tenant, handle.workflowId);
    const compacted = timeline.filter(({ kind }) => kind === 'compact').map(({ name, outcome }) => [name, outcome]);
    assert.deepEqual(
      compacted,
      places.map(() => [STANDARD.id, 'summarised']),
    );
  });

  const failures: readonly { readonly what: string; readonly inPlace: Behaviour }[] = [
    {
      what: 'calls a tool instead',
      inPlace: { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: 'B' } }] },
    },
    { what: 'has no room for it', inPlace: refusals.contextTooLong },
    { what: 'is cut', inPlace: { kind: 'reply', text: 'They looked', finishReason: 'length' } },
  ];
  for (const { what, inPlace } of failures) {
    it(`gives the oldest turns to the model for summaries where the model ${what}`, async () => {
      const { requests } = await play('reader', () => inPlace);
      const ways = requests.filter((request) => isInPlace(request) || isSummaryRequest(request)).map(isInPlace);
      assert.ok(ways.length >= 4, `${ways.length} asked`);
      assert.deepEqual(
        ways,
        ways.map((_, index) => index % 2 === 0),
      );
    });
  }

  for (const agent of ['uncached', 'helped'] as const) {
    it(`is not asked for where it costs more: ${agent}`, async () => {
      const { requests } = await play(agent, () => assert.fail('asked in place'));
      assert.ok(requests.filter(isSummaryRequest).length >= 2);
    });
  }
});
