import { activityInfo } from '@temporalio/activity';
import type { NewObservation } from '../../stores/observations.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ToolCall } from './tool-call.ts';

/** Describes one attempt at a tool call. */
export function observationOfAttempt({ settings }: ActivityDependencies, { facts, request }: ToolCall): NewObservation {
  const { attempt, activityId, activityType } = activityInfo();
  return {
    id: `${facts.id}-${request.turn}-${request.index}-${activityId}-${attempt}-${crypto.randomUUID().slice(0, 8)}`,
    runId: facts.id,
    agent: facts.agent,
    turn: request.turn,
    callIndex: request.index,
    kind: 'tool',
    name: activityType,
    release: facts.release,
    attempt,
    worker: settings.worker,
  };
}
