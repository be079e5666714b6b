import assert from 'node:assert/strict';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { createRouting, type Routing } from '../../../src/activities/model/routing/create-routing.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import type { Agent, ModelChoice, ModelPolicy } from '../../../src/authoring/index.ts';
import type { Tier } from '../../../src/domain/model/model-policy.ts';
import type { FailureDetail } from '../../../src/domain/run/cause.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { type Behaviour, type ProviderServer, refusals } from '../../support/provider-server.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';
import { admitRelease, type TestStores } from '../stores/support.ts';

/** Makes a choice of small bounds. */
export const model = (id: string, rest: Partial<ModelChoice> = {}): ModelChoice => ({
  id,
  outputTokensMax: 100,
  contextTokensMax: 100_000,
  ...rest,
});

/** The same of the provider that tests run. */
export const compatible = (name: string, rest: Partial<ModelChoice> = {}) => model(`openai-compatible:${name}`, rest);

/** Waits for work that must fail, and gives how it did. */
export const failureOf = async (work: Promise<unknown>) => {
  const failure = (await work.then(
    () => assert.fail('it gave a result'),
    (error: unknown) => error,
  )) as ApplicationFailure;
  return { failure, detail: failure.details?.[0] as FailureDetail | undefined };
};

export type RoutedCalls = ReturnType<typeof routedCalls>;

/** Makes model calls of runs of their own on a real database, with a provider's server that treats each model as `behaviours` say. */
export function routedCalls(
  stores: TestStores,
  server: ProviderServer,
  behaviours: Record<string, Behaviour>,
  fallbacks: string[],
) {
  server.always(({ model: name }) => behaviours[name] ?? { kind: 'reply', text: `I am ${name}.` });
  const callsOf = (name: string): number => server.ledger.filter((entry) => entry.model === name).length;

  const worker = (env: Record<string, string> = {}, callsMax = 10) => {
    const given = { PERDURE_MODEL_BASE_URL: server.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1', ...env };
    const routing = createRouting({
      breakers: stores.breakers,
      callsMax,
      onBreaker: () => undefined,
      onFallback: (_agent, { from, why }) => fallbacks.push(`${why} ${from.split(':')[1]}`),
    });
    return { models: createModels({ env: given, rehearsals: new Map() }), routing };
  };

  const dependenciesOf = (
    agent: Agent,
    { models, routing, rateLimits }: Pick<ActivityDependencies, 'models' | 'rateLimits'> & { routing: Routing },
  ): ActivityDependencies => ({
    ...(rateLimits === undefined ? {} : { rateLimits }),
    stores,
    agents: new Map([[agent.name, agent]]),
    models,
    routing,
    effectiveModelId: (id) => id,
    secret: () => undefined,
    settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
    failpoint: async () => undefined,
  });

  const admit = async (agent: Agent, costPico: bigint): Promise<string> => {
    const limits = { costPico: String(costPico), tokens: 1_000_000, turns: 9, toolCalls: 9, activeMs: 60_000 };
    return admitRelease(
      stores,
      stores.tenant,
      buildRelease(agent, (id) => id),
      { limits },
    );
  };

  type Asked = {
    readonly on?: ReturnType<typeof worker> & Pick<ActivityDependencies, 'rateLimits'>;
    readonly text?: string;
    readonly costPico?: bigint;
    readonly tier?: Tier;
    readonly patient?: true;
    readonly sinceMs?: number;
    /** Milliseconds that the attempt has for its work. */
    readonly workMs?: number;
    readonly lastAnswer?: 'keep' | 'last-turn';
    readonly spentPico?: bigint;
  };
  const start = async (models: ModelPolicy, asked: Asked = {}) => {
    const {
      on = worker(),
      text = 'Who are you?',
      costPico = 10n ** 12n,
      sinceMs = 0,
      workMs = 20_000,
      tier,
      patient,
      lastAnswer,
      spentPico = 0n,
    } = asked;
    const agent = testAgent('routed', { models });
    const runId = await admit(agent, costPico);
    if (spentPico > 0n)
      await stores.db
        .updateTable('budget_accounts')
        .set({ spent_pico: String(spentPico) })
        .where('tenant', '=', stores.tenant)
        .where('id', '=', runId)
        .execute();
    const delta = [await stores.transcripts.writePart(stores.tenant, 's', { kind: 'user-text', text })];
    const ask = async (): Promise<ModelResult> => {
      const environment = new MockActivityEnvironment(
        {
          workflowExecution: { workflowId: runId, runId: 'x' },
          scheduledTimestampMs: Date.now() - sinceMs,
          startToCloseTimeoutMs: LIMITS.settleMs + workMs,
        },
        { logger: new DefaultLogger('ERROR') },
      );
      const input = {
        tenant: stores.tenant,
        turn: 1,
        head: null,
        delta,
        ...(tier === undefined ? {} : { tier }),
        ...(patient === undefined ? {} : { patient }),
        ...(lastAnswer === undefined ? {} : { lastAnswer }),
      };
      return environment.run<[], ModelResult, () => Promise<ModelResult>>(async () =>
        callModel(dependenciesOf(agent, on), input),
      );
    };
    return { runId, ask };
  };
  const ask = async (models: ModelPolicy, asked: Asked = {}) => {
    const started = await start(models, asked);
    const result = await started.ask();
    return result.kind === 'replied' ? { ...started, result } : assert.fail(`it gave ${result.kind}`);
  };
  /** Fails a model until its breaker is open. */
  const open = async (name: string, on = worker()): Promise<void> => {
    behaviours[name] = refusals.serverError;
    const { ask: attempt } = await start({ standard: compatible(name) }, { on });
    for (let call = 0; call < 5; call += 1) await failureOf(attempt());
  };
  return { callsOf, worker, start, ask, open };
}
