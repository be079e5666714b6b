import { noFailpoint } from '../domain/failpoint.ts';
import { createApprovals } from './approvals.ts';
import type { Db } from './database.ts';
import { createDeferredCalls } from './deferred-calls.ts';
import { createEffects } from './effects.ts';
import { createEndedRuns } from './ended-runs.ts';
import { createModelCalls } from './model-calls.ts';
import { createReleases } from './releases.ts';
import { createRunMessages } from './run-messages.ts';
import { createRuns } from './runs.ts';
import { createScopes } from './scopes.ts';
import { createTranscripts, DEFAULT_CACHE_BYTES } from './transcripts.ts';
import { createUnansweredCalls } from './unanswered-calls.ts';

export type Stores = ReturnType<typeof createStores>;

/** Makes the repositories of one database. They share caches, so a process makes them once. */
export function createStores(db: Db, { transcriptCacheBytes = DEFAULT_CACHE_BYTES, failpoint = noFailpoint } = {}) {
  const scopes = createScopes(db);
  const transcripts = createTranscripts(db, scopes, transcriptCacheBytes);
  return {
    db,
    scopes,
    transcripts,
    releases: createReleases(db),
    runs: createRuns(db),
    endedRuns: createEndedRuns(db, transcripts),
    runMessages: createRunMessages(db),
    modelCalls: createModelCalls(db, failpoint),
    unansweredCalls: createUnansweredCalls(db),
    effects: createEffects(db, failpoint),
    approvals: createApprovals(db),
    deferredCalls: createDeferredCalls(db),
  };
}
