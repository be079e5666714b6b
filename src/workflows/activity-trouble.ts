import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { CAUSES, type FailureDetail } from '../domain/run/cause.ts';
import type { ActivityTrouble } from '../domain/run/results.ts';

/**
 * Reads why an activity gave no result. Anything unexpected in an activity is `infra` and blocks the run: it is not the request's fault.
 *
 * @throws whatever is no failure of an activity: a mistake in workflow code fails the task, which is tried again on a mended build.
 */
export function troubleOf(error: unknown): ActivityTrouble {
  if (!(error instanceof ActivityFailure)) throw error;
  const { cause, activityType } = error;
  if (cause instanceof TimeoutFailure) return timeoutTrouble(activityType, cause);
  if (!(cause instanceof ApplicationFailure)) {
    return { cause: 'infra', disposition: 'transient', message: `${activityType}: ${cause?.message ?? error.message}` };
  }
  const detail = cause.details?.[0] as FailureDetail | undefined;
  return {
    cause: CAUSES.find((known) => known === cause.type) ?? 'infra',
    disposition: detail?.disposition ?? 'transient',
    message: cause.message,
    ...(detail?.mend === undefined ? {} : { mend: detail.mend }),
  };
}

function timeoutTrouble(activityType: string, { timeoutType }: TimeoutFailure): ActivityTrouble {
  if (timeoutType !== 'SCHEDULE_TO_START') {
    return { cause: 'infra', disposition: 'transient', message: `${activityType} timed out (${timeoutType})` };
  }
  return {
    cause: activityType.includes('@') ? 'tool-missing' : 'infra',
    disposition: 'mendable',
    message: `no worker has taken ${activityType}`,
    mend: `Start a worker that serves ${activityType}, or more of them; the run then goes on by itself.`,
  };
}
