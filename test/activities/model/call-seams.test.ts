// Goal: where money, limits, routes and wires meet, nothing that was paid is lost, nothing is held for nobody, and no stand-in decides for a run's own model.
// Method: the activity of model calls on real accounts against a provider over HTTP, with breakers that are open and attempts that are made twice.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { addUp } from '../../../src/domain/run/receipt.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { createRunReader } from '../../../src/stores/run-reader.ts';
import { reconcileHeld } from '../../../src/workers/reconcile-held.ts';
import { type Behaviour, type ProviderServer, startProviderServer } from '../../support/provider-server.ts';
import { newObservation, openTestStores, randomId, type TestStores } from '../stores/support.ts';
import { compatible, failureOf, model, type RoutedCalls, routedCalls } from './routed-calls.ts';

/** A worker hears of a breaker within a second. */
const BREAKER_MS = 1_100;

describe('a model call between money, limits, routes and wires', () => {
  let stores: TestStores;
  let server: ProviderServer;
  let lab: RoutedCalls;
  const behaviours: Record<string, Behaviour> = {};
  let main: string;
  let spare: string;

  before(async () => {
    stores = await openTestStores();
    server = await startProviderServer();
    lab = routedCalls(stores, server, behaviours, []);
  });
  after(async () => {
    await server.close();
    await stores.close();
  });
  beforeEach(() => {
    [main, spare] = [randomId('main'), randomId('spare')];
  });

  const withDearSpare = () => ({
    ...compatible(main),
    fallbacks: [compatible(spare, { outputTokensMax: 8_000 })],
  });

  it('waits for the own model where a dear fallback could only be asked for the last answer', async () => {
    await lab.open(main);
    // 25,000 tokens are left at a USD per million: the run's own model needs some 21,000 with its last answer.
    const money = { costPico: 60_000_000_000n, spentPico: 35_000_000_000n, lastAnswer: 'keep' } as const;
    const ordinary = await (await lab.start({ standard: compatible(randomId('own')) }, money)).ask();
    assert.ok(ordinary.kind === 'replied' && ordinary.closedBy === undefined);
    const { failure } = await failureOf((await lab.start({ standard: withDearSpare() }, money)).ask());
    assert.equal(failure.nonRetryable, false, failure.message);
    assert.equal(lab.callsOf(spare), 0);
  });

  it('waits for the own model where a dear fallback finds the money held', async () => {
    await lab.open(main);
    const run = await lab.start({ standard: withDearSpare() }, { costPico: 60_000_000_000n, lastAnswer: 'keep' });
    const account = stores.db.updateTable('budget_accounts').set({ held_pico: '35000000000' });
    await account.where('tenant', '=', stores.tenant).where('id', '=', run.runId).execute();
    const { failure } = await failureOf(run.ask());
    assert.equal(failure.nonRetryable, false, failure.message);
  });

  it('asks for a short last answer with less thinking, where the request is signed', async () => {
    const signed = {
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      AWS_REGION: 'us-east-1',
      BEDROCK_BASE_URL: server.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '',
    };
    const standard = model('bedrock:us.anthropic.claude-haiku-4-5-20251001-v1:0', {
      outputTokensMax: 8_000,
      contextTokensMax: 200_000,
      providerOptions: { amazonBedrock: { reasoningConfig: { type: 'enabled', budgetTokens: 4_000 } } },
    });
    const [costPico, left] = [10n ** 12n, 60_000_000_000n];
    const money = { costPico, spentPico: costPico - left, lastAnswer: 'keep' } as const;
    const run = await lab.start({ standard }, { on: lab.worker(signed), ...money });
    // The server knows nothing of Bedrock: that it was asked is what counts.
    const { failure } = await failureOf(run.ask());
    assert.doesNotMatch(failure.message, /asks for more than/);
    const row = stores.db.selectFrom('budget_reservations').select('worst_tokens').where('run_id', '=', run.runId);
    assert.equal((await row.execute()).length, 1);
  });

  it('gives a reply that is kept although the own model cannot hold the prompt', async () => {
    const on = lab.worker();
    await lab.open(main, on);
    const standard = { ...compatible(main, { contextTokensMax: 200 }), fallbacks: [compatible(spare)] };
    const run = await lab.start({ standard }, { on, text: 'x'.repeat(5_000) });
    assert.equal((await run.ask()).kind, 'replied');
    await stores.breakers.reset(`openai-compatible:${main}`, 'test', 'back');
    await sleep(BREAKER_MS);
    assert.equal((await run.ask()).kind, 'replied');
    assert.equal(lab.callsOf(spare), 1);
  });

  it('gives a reply that is kept although its model is left alone now', async () => {
    const on = lab.worker();
    const run = await lab.start({ standard: compatible(main) }, { on });
    assert.equal((await run.ask()).kind, 'replied');
    await lab.open(main, on);
    await sleep(BREAKER_MS);
    assert.equal((await run.ask()).kind, 'replied');
    const row = stores.db.selectFrom('observations').select('outcome').where('run_id', '=', run.runId);
    const outcomes = (await row.orderBy('opened_at').execute()).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['replied', 'kept']);
  });

  for (const end of ['clean', 'reset'] as const) {
    it(`tries the last turn again where its stream ends in the middle: ${end}`, async () => {
      behaviours[main] = { kind: 'cut', reply: { text: 'It is sunny today, and warm.' }, afterChunks: 2, end };
      const run = await lab.start({ standard: compatible(main) }, { lastAnswer: 'last-turn' });
      const { failure } = await failureOf(run.ask());
      assert.equal(failure.nonRetryable, false, failure.message);
    });
  }

  it('is asked about by nobody while it is under way', async () => {
    const on = lab.worker({ PERDURE_MODEL_USAGE_URL: `${server.baseUrl}/usage/{id}` });
    behaviours[main] = { kind: 'reply', text: 'Hello.', usage: null, delayMs: 1_500 };
    const run = await lab.start({ standard: compatible(main) }, { on });
    // An earlier turn whose reply was lost: that is why the run is looked at.
    const lost = { id: randomId('lost'), worstPico: 5n, worstTokens: 5, unusableMax: 9, unansweredMax: 9 };
    const name = `openai-compatible:${main}`;
    await stores.modelCalls.reserve(stores.tenant, lost, { ...newObservation(run.runId, 0, 'model'), name });
    await stores.db.updateTable('budget_reservations').set({ state: 'held' }).where('id', '=', lost.id).execute();
    const asked = run.ask();
    await sleep(500);
    const reconciling = reconcileHeld({ stores, models: on.models }, createLogger('fatal'));
    await sleep(500);
    const rows = stores.db.selectFrom('budget_reservations').select('state').where('run_id', '=', run.runId);
    assert.deepEqual(
      (await rows.where('turn', '=', 1).execute()).map(({ state }) => state),
      ['reserved'],
    );
    assert.equal((await asked).kind, 'replied');
    await reconciling.stop();
    const receipt = (await createRunReader(stores).receipt(stores.tenant, run.runId)) ?? assert.fail('no receipt');
    const { account, attempts } = receipt;
    assert.deepEqual(addUp({ runId: run.runId, endCostPico: null, account, attempts }).differences, []);
  });
});
