import { activityInfo } from '@temporalio/activity';
import type { NewObservation } from '../../stores/observations.ts';
import type { ActivitySettings } from '../dependencies.ts';
import type { Call } from './prepare-call.ts';

/** Describes an attempt at a model call under its id, for whoever opens its observation. */
export function modelObservation(
  { facts, turn, resolved }: Pick<Call, 'facts' | 'turn' | 'resolved'>,
  id: string,
  { worker }: ActivitySettings,
): NewObservation {
  return {
    id,
    runId: facts.id,
    agent: facts.agent,
    turn,
    callIndex: null,
    kind: 'model',
    name: resolved.id,
    release: facts.release,
    attempt: activityInfo().attempt,
    worker,
  };
}
