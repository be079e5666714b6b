import { Context } from '@temporalio/activity';
import { isProviderFault } from '../../failures.ts';
import { ModelUnavailable } from '../model-errors.ts';
import type { AttemptTime } from './attempt-time.ts';
import type { Permit } from './process-breakers.ts';

/** The way to a model for one call. What comes of the call is told to the model's breaker. */
export type Passage = {
  readonly through: <Reply>(call: () => Promise<Reply>) => Promise<Reply>;
  /** Milliseconds that the next call may take. */
  readonly timeoutMs: () => number;
  /** Says that the model is why the call cannot be made. */
  readonly blame: (error: unknown) => never;
  /** What the call failed with; undefined where it did not, or was not made. */
  readonly failure: () => unknown;
  /** Lets another call try the model, where this one was to and did not. */
  readonly close: () => Promise<void>;
};

/** Opens the way to a model. Without a permit nobody watches it: it plays inside the worker. */
export function openPassage(permit: Permit | null, time: AttemptTime): Passage {
  let failure: unknown;
  const tell = async (told: 'answered' | 'failed'): Promise<void> => {
    // A breaker that misses a call is better than a reply that is lost because its breaker could not be written.
    await permit?.tell(told).catch(() => undefined);
  };
  return {
    through: async (call) => {
      try {
        const reply = await call();
        // A reply that was paid for does not wait for what only its breaker learns.
        void tell('answered');
        return reply;
      } catch (error) {
        failure = error;
        // What was called off, or never sent, says nothing of the model.
        const isTold = !Context.current().cancellationSignal.aborted && !(error instanceof ModelUnavailable);
        if (isTold) await tell(isProviderFault(error) ? 'failed' : 'answered');
        throw error;
      }
    },
    timeoutMs: () => time.callMs(),
    blame: (error) => {
      failure = error;
      throw error;
    },
    failure: () => failure,
    close: async () => {
      await permit?.giveBack().catch(() => undefined);
    },
  };
}
