import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import { createApprovals } from './approvals.ts';
import { createArchive } from './archive.ts';
import { createBreakers } from './breakers.ts';
import { createChains } from './budget-chain.ts';
import { createBudgets } from './budgets.ts';
import type { OnBudgetWarned } from './charge-calls.ts';
import type { Db } from './database.ts';
import { createDeferredCalls } from './deferred-calls.ts';
import { createEffects } from './effects.ts';
import { createEndedRuns } from './ended-runs.ts';
import { createModelCalls } from './model-calls.ts';
import { createObservations, type OnAttemptClosed } from './observations.ts';
import { createRateLimits } from './rate-limits.ts';
import { createReleases } from './releases.ts';
import { createRunMessages } from './run-messages.ts';
import { createRuns } from './runs.ts';
import { createScopes } from './scopes.ts';
import { createTranscripts, DEFAULT_CACHE_BYTES } from './transcripts.ts';
import { createUnansweredCalls } from './unanswered-calls.ts';

export type Stores = ReturnType<typeof createStores>;

export type StoresOptions = {
  readonly transcriptCacheBytes?: number;
  readonly failpoint?: Failpoint;
  /** Hears of each attempt at a model or tool call when it is closed. */
  readonly onAttemptClosed?: OnAttemptClosed;
  /** Hears of each account that has used up 80 % of its cap. */
  readonly onBudgetWarned?: OnBudgetWarned;
};

/** Makes the repositories of one database. They share caches, so a process makes them once. */
export function createStores(
  db: Db,
  {
    transcriptCacheBytes = DEFAULT_CACHE_BYTES,
    failpoint = noFailpoint,
    onAttemptClosed = () => undefined,
    onBudgetWarned = () => undefined,
  }: StoresOptions = {},
) {
  const scopes = createScopes(db);
  const chains = createChains(db);
  const transcripts = createTranscripts(db, scopes, transcriptCacheBytes);
  return {
    db,
    scopes,
    transcripts,
    archive: createArchive(transcripts),
    releases: createReleases(db),
    runs: createRuns(db),
    endedRuns: createEndedRuns(db, transcripts),
    runMessages: createRunMessages(db),
    modelCalls: createModelCalls(db, chains, { failpoint, onClosed: onAttemptClosed, onWarned: onBudgetWarned }),
    budgets: createBudgets(db, chains, onBudgetWarned),
    unansweredCalls: createUnansweredCalls(db, onBudgetWarned),
    observations: createObservations(db, onAttemptClosed),
    effects: createEffects(db, failpoint),
    approvals: createApprovals(db),
    breakers: createBreakers(db),
    deferredCalls: createDeferredCalls(db),
    rateLimits: createRateLimits(db),
  };
}
