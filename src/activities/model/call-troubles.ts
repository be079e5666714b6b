import type { ApplicationFailure } from '@temporalio/common';
import { ATTACHMENTS_BYTES_MAX, fileBytes } from '../../domain/model/attachment.ts';
import { formatUsd } from '../../domain/model/price.ts';
import type { RateDimension } from '../../domain/quota/rate-limit.ts';
import type { Dimension } from '../../domain/run/run-end.ts';
import type { Held } from '../../stores/budget-account.ts';
import type { BudgetRefused } from '../../domain/run/results.ts';
import type { Reserved } from '../../stores/call-types.ts';
import { type Failure, toApplicationFailure } from '../failures.ts';
import type { Call } from './prepare-call.ts';

/** Makes the failure of a run whose files are more than a model is sent at once. */
export function tooManyFiles({ parts }: Call): ApplicationFailure {
  const message = `the files of this run have ${fileBytes(parts)} bytes together, at most ${ATTACHMENTS_BYTES_MAX} can be sent at once; start a new run with those that are needed`;
  return toApplicationFailure({ cause: 'validation', disposition: 'final', message, sent: 'no' }, { retryable: false });
}

/** Makes the failure of a turn whose calls gave nothing. */
export function tooManyCalls(
  { turn, resolved }: Pick<Call, 'turn' | 'resolved'>,
  { what, calls }: { readonly what: 'unusable' | 'unanswered'; readonly calls: number },
): ApplicationFailure {
  const isUnusable = what === 'unusable';
  const message = isUnusable
    ? `${resolved.id} gave no usable reply in ${calls} calls of turn ${turn}`
    : `${resolved.id} did not answer ${calls} calls of turn ${turn}`;
  return toApplicationFailure(
    { cause: 'model-error', disposition: isUnusable ? 'final' : 'mendable', message, sent: 'no' },
    { retryable: false },
  );
}

/** The budget would bear the call if it were known what became of earlier ones. That is for a person to decide, not the end of the run. */
export function starved(
  { facts, resolved }: Pick<Call, 'facts' | 'resolved'>,
  { dimension, calls, heldPico, heldTokens }: { readonly dimension: Dimension } & Held,
): ApplicationFailure {
  const isMoney = dimension === 'usd';
  const what = isMoney ? `${formatUsd(heldPico)} USD` : `${heldTokens} tokens`;
  const message = `${calls} ${calls === 1 ? 'call' : 'calls'} without an answer hold ${what} of the budget, and the rest is too little for the next call of ${resolved.id}`;
  const mend = `Raise the limit with: perdure run top-up ${facts.id} ${isMoney ? '--usd' : '--tokens'} AMOUNT. What the calls really cost is at the provider.`;
  return toApplicationFailure(
    { cause: 'model-error', disposition: 'mendable', message, mend, sent: 'no' },
    { retryable: false },
  );
}

/**
 * Says that an account above the run does not bear a call. A run for which somebody tops up waits, as blocked, and goes on by itself when the account is
 * topped up or its period turns; every other one ends with what there is. Where calls under way hold the rest, both wait for these.
 *
 * @throws ApplicationFailure `model-quota`
 */
export function accountRefused({
  because,
  waits,
  dimension,
  account,
  total,
}: Reserved & { readonly kind: 'account-refused' }): BudgetRefused {
  const name = `${account.kind} ${account.id}`;
  if (because === 'spent' && !waits) return { kind: 'budget-refused', dimension, total, account: name };
  const isMoney = dimension === 'usd';
  const cap = isMoney ? `${formatUsd(account.capPico ?? 0n)} USD` : `${account.capTokens ?? 0n} tokens`;
  const span = account.period === 'total' ? '' : ` a ${account.period}`;
  const tenant = ['conversation', 'user'].includes(account.kind) ? ` --tenant ${account.tenant}` : '';
  const topUp = `perdure budget top-up ${name}${tenant} ${isMoney ? '--usd 5' : '--tokens 100000'}`;
  const message =
    because === 'spent'
      ? `${name} has used up its cap of ${cap}${span}`
      : `calls under way or without an answer hold what is left of the cap of ${cap}${span} of ${name}`;
  const turns = account.period === 'total' ? '' : ` It also goes on when the ${account.period} turns.`;
  const mend =
    because === 'spent' ? `Raise it: ${topUp}.${turns}` : `See them: perdure budget held. Or raise it: ${topUp}.`;
  const disposition = because === 'spent' ? 'mendable' : 'transient';
  return raise({ cause: 'model-quota', disposition, message, mend, sent: 'no' });
}

function raise(failure: Failure): never {
  throw toApplicationFailure(failure, { retryable: failure.disposition === 'transient' });
}

/** Makes the failure of a call that no wait would let through. */
export function tooLargeForLimit(
  { resolved }: { readonly resolved: { readonly id: string } },
  { dimension, limit, cost }: { readonly dimension: RateDimension; readonly limit: number; readonly cost: number },
  subject: string,
): ApplicationFailure {
  const message = `the call of ${resolved.id} needs ${Math.ceil(cost)} ${dimension} at once, and the limit of ${subject} is ${Math.floor(limit)} in its window`;
  const mend = `Raise the limit of ${subject} in PERDURE_MODEL_LIMITS if the provider allows more, or start a new run with a shorter transcript.`;
  return toApplicationFailure(
    { cause: 'model-quota', disposition: 'mendable', message, mend, sent: 'no' },
    { retryable: false },
  );
}

/** Makes the failure of a reply that could not be kept. */
export function notKept({ resolved }: Pick<Call, 'resolved'>, why: string): ApplicationFailure {
  const message = `a reply of ${resolved.id} was paid for and could not be kept: ${why}`;
  const mend = 'Look into the logs of the workers and of PostgreSQL; a worker of a mended build goes on by itself.';
  return toApplicationFailure(
    { cause: 'infra', disposition: 'mendable', message, mend, sent: 'maybe' },
    { retryable: false },
  );
}
