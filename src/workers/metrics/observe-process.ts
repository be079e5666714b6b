import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { countLateBeats } from '../../activities/heartbeats.ts';
import type { UnknownPrice } from '../../activities/model/watch-prices.ts';
import type { OnFallback } from '../../activities/model/routing/create-routing.ts';
import type { OnBreaker } from '../../activities/model/routing/process-breakers.ts';
import type { RateLimits } from '../../activities/model/rate-limit.ts';
import { dayStart } from '../../domain/model/calendar.ts';
import { PRICE_TABLE } from '../../domain/model/price-table.ts';
import type { ListenAddress } from '../../runtime/config.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { OnBudgetWarned } from '../../stores/charge-calls.ts';
import type { PoolUse } from '../../stores/database.ts';
import type { OnAttemptClosed } from '../../stores/observations.ts';
import { countUnknownPrice } from '../report-prices.ts';
import { type Watched, watchRuns } from '../watch/watch.ts';
import { createMetrics, type Metrics } from './create-metrics.ts';
import { type FactsOf, measureActivities } from './measure-activities.ts';
import { measureAttempt } from './measure-attempts.ts';
import { createReadiness, type Missing, type Polling, type Readiness } from './readiness.ts';
import { readSdkMetrics } from './sdk-metrics.ts';
import { serveEndpoint } from './serve.ts';

export type ObservedProcess = {
  /** Where `/metrics`, `/livez` and `/readyz` are; null when they are not served. */
  readonly url: string | null;
  readonly onAttemptClosed: OnAttemptClosed;
  readonly onUnknownPrice: (unknown: UnknownPrice) => void;
  readonly onBreaker: OnBreaker;
  readonly onFallback: OnFallback;
  readonly onBudgetWarned: OnBudgetWarned;
  readonly onThrottled: RateLimits['onThrottled'];
  /** What the process's workers wrap around activities. */
  readonly activityInterceptors: (factsOf: FactsOf) => ActivityInterceptorsFactory[];
  /** Says that the workers are there; with `watches` it also looks after all runs. */
  readonly begin: (watched: Watched, workers: readonly Polling[], does: ProcessDuties) => void;
  /** Says that the process takes no new work. */
  readonly stopping: () => void;
  readonly close: () => Promise<void>;
};

export type ProcessDuties = {
  /** Whether it sets the gauges of the whole deployment. */
  readonly watches: boolean;
  /** Port at which the Temporal SDK of this process shows its metrics; null when it does not. */
  readonly sdkPort: number | null;
};

export type ProcessSetup = {
  readonly address: ListenAddress | null;
  readonly buildId: string;
  readonly poolUse: () => PoolUse;
  readonly logger: Logger;
};

/** Measures a worker process and serves what was measured, from before its workers start until they have stopped. */
export async function observeProcess(setup: ProcessSetup): Promise<ObservedProcess> {
  return setup.address === null ? UNOBSERVED : observe(setup.address, setup);
}

const UNOBSERVED: ObservedProcess = {
  url: null,
  onAttemptClosed: () => undefined,
  onUnknownPrice: () => undefined,
  onBreaker: () => undefined,
  onFallback: () => undefined,
  onBudgetWarned: () => undefined,
  onThrottled: () => undefined,
  activityInterceptors: () => [],
  begin: () => undefined,
  stopping: () => undefined,
  close: async () => undefined,
};

const STARTING: readonly Missing[] = [{ what: 'workers', problem: 'the process is starting' }];

async function observe(address: ListenAddress, setup: ProcessSetup): Promise<ObservedProcess> {
  const metrics = createMetrics(refreshFrom(setup));
  metrics.set('perdure_build_info', { build_id: setup.buildId }, 1);
  let readiness: Readiness | null = null;
  let sdkPort: number | null = null;
  let watch: { readonly stop: () => Promise<void> } | null = null;
  const endpoint = await serveEndpoint(address, {
    expose: () => exposeAll(metrics, sdkPort),
    missing: async () => (readiness === null ? STARTING : readiness.missing()),
  });
  return {
    url: endpoint.url,
    onAttemptClosed: (attempt) => measureAttempt(metrics, attempt),
    onUnknownPrice: (unknown) => countUnknownPrice(metrics, unknown),
    onBreaker: (model, state) => metrics.count('perdure_model_breaker_changes_total', { model, state }),
    onFallback: (agent, { from, why }) => metrics.count('perdure_model_fallbacks_total', { agent, model: from, why }),
    onBudgetWarned: ({ kind }) => metrics.count('perdure_budget_warnings_total', { kind }),
    onThrottled: ({ agent, model, dimension: limit, waitMs }) =>
      metrics.observe('perdure_model_throttled_seconds', { agent, model, limit }, waitMs / 1_000),
    activityInterceptors: (factsOf) => {
      const measure = measureActivities(metrics, factsOf);
      return [(context) => ({ inbound: measure(context) })];
    },
    begin: (watched, workers, { watches, sdkPort: port }) => {
      sdkPort = port;
      readiness = createReadiness(watched, workers);
      if (watches) watch = watchRuns(watched, metrics, setup.logger);
    },
    stopping: () => readiness?.stop(),
    close: async () => {
      readiness?.stop();
      await watch?.stop();
      await endpoint.close();
    },
  };
}

/** Reads what the process knows of itself, before each answer. */
function refreshFrom({ poolUse }: ProcessSetup): (metrics: Metrics) => void {
  let counted = countLateBeats();
  return (metrics) => {
    const { total, idle, waiting } = poolUse();
    metrics.set('perdure_database_connections', {}, total);
    metrics.set('perdure_database_connections_idle', {}, idle);
    metrics.set('perdure_database_waiting', {}, waiting);
    metrics.set('perdure_model_prices_age_seconds', {}, (Date.now() - dayStart(PRICE_TABLE.fetchedAt)) / 1_000);
    const late = countLateBeats();
    metrics.count('perdure_heartbeats_late_total', {}, late - counted);
    counted = late;
  };
}

/** The SDK's families begin with `temporal_`, ours with `perdure_`, `process_` and `nodejs_`, so that the two texts are one. */
async function exposeAll(metrics: Metrics, sdkPort: number | null): Promise<string> {
  const sdk = sdkPort === null ? null : await readSdkMetrics(sdkPort);
  metrics.set('perdure_sdk_metrics_up', {}, sdk === null ? 0 : 1);
  const own = await metrics.expose();
  return sdk === null ? own : `${own}\n${sdk.trimEnd()}\n`;
}
