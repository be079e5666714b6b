import { activityInfo } from '@temporalio/activity';
import { type OpenObservation, openObservation } from '../../stores/observations.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ToolCall } from './tool-call.ts';

/** Opens the observation of one attempt at a tool call. */
export async function observeToolAttempt(
  { stores, settings }: ActivityDependencies,
  { tenant, facts, request }: ToolCall,
): Promise<OpenObservation> {
  const { attempt, activityId, activityType } = activityInfo();
  return openObservation(stores.db, tenant, {
    id: `${facts.id}-${request.turn}-${request.index}-${activityId}-${attempt}-${crypto.randomUUID().slice(0, 8)}`,
    runId: facts.id,
    turn: request.turn,
    callIndex: request.index,
    kind: 'tool',
    name: activityType,
    release: facts.release,
    attempt,
    worker: settings.worker,
  });
}
