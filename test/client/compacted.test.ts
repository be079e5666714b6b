// Goal: a conversation whose oldest turns were replaced by a summary can be added up, taken up from anywhere, and gone on from.
// Method: real servers and workers with a model of a small context that counts; the receipt, retries of three places, and a next part.
import assert from 'node:assert/strict';
import { createClient, type PerdureClient, type Reply } from '../../src/client/index.ts';
import { addUp } from '../../src/domain/run/receipt.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { CONTEXT_TOKENS, isSummaryRequest, REPLY_TOKENS, withSmallContext, wordsOf } from '../support/small-context.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const FACT = 'The vault in Lisbon opens with 7319-KESTREL.';
const QUESTION = 'With which code does the vault in Lisbon open?';
const RECALLED = 'Passages of earlier turns';
const TURNS = 12;

/** What is said at each turn: the fact at the second, the question for it at the last. */
function wordsAt(turn: number): string {
  if (turn === TURNS) return QUESTION;
  return (turn === 2 ? FACT : `Note ${turn}: nothing of it matters.`).padEnd(
    14_000,
    ' Nobody has asked so far, and so it goes.',
  );
}

describe('a conversation that was compacted', function () {
  this.timeout(240_000);
  let provider: ProviderServer;
  let platform: Platform;
  let client: PerdureClient;
  let last: Reply & { readonly kind: 'answered' | 'asked' };
  const replies: Reply[] = [];

  const reader = () => createRunReader(platform.stores);
  const say = async (key: string, text: string, more = {}): Promise<Reply> =>
    (await client.send('long', text, { agent: 'talker', tenant: platform.tenant, key, ...more })).reply();
  const asked = () => provider.ledger.map(({ body }) => body).filter((body) => !isSummaryRequest(body));

  before(async () => {
    provider = await startProviderServer();
    provider.always(
      withSmallContext((request) =>
        isSummaryRequest(request)
          ? { kind: 'reply', text: 'They exchanged notes.' }
          : { kind: 'reply', text: wordsOf(request).includes('7319-KESTREL') ? 'It was said.' : 'Nobody said so.' },
      ),
    );
    platform = await startPlatform({
      agents: [
        testAgent('talker', {
          models: {
            standard: {
              id: 'openai-compatible:small',
              outputTokensMax: REPLY_TOKENS,
              contextTokensMax: CONTEXT_TOKENS,
            },
          },
          requirements: { latencyP95Ms: 3_600_000, costPerRunUsd: 10_000 },
          limits: { turns: 2_000, tokens: 1e12 },
        }),
      ],
      env: { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' },
    });
    client = createClient({
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: reader(),
      principal: 'tester',
      answerMs: 20_000,
    });
    for (let turn = 1; turn <= TURNS; turn += 1) replies.push(await say(`k${turn}`, wordsAt(turn)));
    const newest = replies.at(-1);
    assert.ok(newest !== undefined && newest.kind !== 'ended');
    last = newest;
  });
  after(async () => {
    await platform?.close();
    await provider?.close();
  });

  const compactions = async (id: string) =>
    (await reader().timeline(platform.tenant, id)).filter(({ kind }) => kind === 'compact');

  it('has a receipt that adds up, summaries and all', async () => {
    const summaries = provider.ledger.filter(({ body }) => isSummaryRequest(body)).length;
    assert.ok(summaries > 0);
    const { run, account, attempts } = (await reader().receipt(platform.tenant, last.agentRunId)) ?? assert.fail();
    const sums = addUp({ runId: run.id, endCostPico: run.end?.costPico ?? null, account, attempts });
    assert.deepEqual(sums.differences, []);
    assert.equal(attempts.filter(({ kind }) => kind === 'compact').length, summaries);
    assert.deepEqual(sums.states.map(({ state, attempts: count }) => [state, count])[0], [
      'settled',
      TURNS + summaries,
    ]);
    const charged = provider.ledger.reduce(
      (sum, { charged: usage }) => sum + (usage === null ? 0 : usage.prompt_tokens + usage.completion_tokens),
      0,
    );
    assert.equal(account?.spentTokens, charged);
  });

  it('gives each reply with the summary that made room for it, and the same reply for ever', async () => {
    for (const [index, reply] of replies.entries()) assert.deepEqual(await say(`k${index + 1}`, 'again'), reply);
    const account = (await reader().receipt(platform.tenant, last.agentRunId))?.account;
    const used = replies.reduce((sum, reply) => sum + (reply.kind === 'ended' ? 0n : BigInt(reply.usage.costPico)), 0n);
    assert.equal(String(used), account?.spentPico);
  });

  it('is taken up where it stopped, with the summary and not with what it replaced', async () => {
    assert.match(wordsOf(asked().at(-1) ?? assert.fail()), new RegExp(RECALLED));
    await client.run(last.agentRunId, { tenant: platform.tenant }).requestStop('enough');
    await client.run(last.agentRunId, { tenant: platform.tenant }).result();
    const summaries = (await compactions(last.agentRunId)).length;
    const successor = await client.retry(last.agentRunId, { tenant: platform.tenant });
    await until('the successor is admitted', async () => (await successor.state()).release !== null);
    const reply = await say('more', `Once more: ${QUESTION}`);
    assert.deepEqual([reply.agentRunId, reply.kind === 'answered' && reply.text], [successor.id, 'It was said.']);
    assert.equal((await compactions(last.agentRunId)).length, summaries);
    assert.match(wordsOf(asked().at(-1) ?? assert.fail()), /Summary of turns 1 to/);
    const whole = await reader().wholeTranscript(platform.tenant, successor.id);
    const said = whole.flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
    assert.deepEqual(said, [
      ...Array.from({ length: TURNS }, (_, turn) => wordsAt(turn + 1)),
      `Once more: ${QUESTION}`,
    ]);
    await successor.requestStop('enough');
    await successor.result();
  });

  for (const fromTurn of [1, 2, 7, TURNS]) {
    it(`is taken up from turn ${fromTurn} with what that turn had, once`, async () => {
      const before = asked().find(({ messages }) => messages.filter(({ role }) => role === 'assistant').length === 0);
      const first = replies[fromTurn - 1];
      assert.ok(first !== undefined && before !== undefined);
      const from = provider.ledger.length;
      const successor = await client.retry(last.agentRunId, { tenant: platform.tenant, fromTurn });
      await until('its turn is made', async () => (await successor.state()).turn === fromTurn);
      const [request] = provider.ledger.slice(from).map(({ body }) => body);
      const words = wordsOf(request ?? assert.fail());
      assert.ok(words.endsWith(wordsAt(fromTurn)));
      assert.ok(words.split(RECALLED).length <= 2, 'what was recalled is there once');
      const earlier = provider.ledger.slice(0, from).map(({ body }) => JSON.stringify(body.messages));
      assert.ok(earlier.includes(JSON.stringify(request?.messages)), 'the prompt is the one of the ended run');
      await successor.requestStop('enough');
      await successor.result();
    });
  }

  it('is gone on from by a next part', async () => {
    const reply = await say('next', `And again: ${QUESTION}`, { continueAfter: ['cancelled'] });
    assert.deepEqual([reply.kind, reply.kind === 'answered' && reply.text], ['answered', 'It was said.']);
  });
});
