import type { Throttled } from '../domain/run/results.ts';
import type { Db } from './database.ts';
import type { Reserved } from './call-types.ts';
import { closeObservation, type NewObservation, openObservation } from './observations.ts';

/** What an attempt came to that called nobody. */
type Uncalled =
  Exclude<Reserved, { readonly kind: 'reserved' | 'closing' }> | { readonly kind: 'summarised' } | Throttled;

/** Writes down an attempt that called nobody, so that every attempt of a run stands on its receipt, and gives what it came to. */
export async function noteUncalled<Came extends Uncalled>(
  tx: Db,
  tenant: string,
  observation: NewObservation,
  uncalled: Came,
): Promise<Came> {
  const open = await openObservation(tx, tenant, observation);
  await closeObservation(tx, open, describe(uncalled));
  return uncalled;
}

function describe(uncalled: Uncalled): { readonly outcome: string; readonly message: string } {
  switch (uncalled.kind) {
    case 'replied':
      return { outcome: 'kept', message: 'gave the reply that an earlier attempt had paid for and kept' };
    case 'summarised':
      return { outcome: 'kept', message: 'gave the summary that an earlier attempt had paid for and kept' };
    case 'budget-refused':
      return { outcome: 'budget-refused', message: `the limit of ${uncalled.dimension} does not bear the call` };
    case 'budget-held':
      return {
        outcome: 'budget-held',
        message: `what ${uncalled.calls} calls without an answer hold of ${uncalled.dimension} leaves too little for the call`,
      };
    case 'account-refused': {
      const { account, dimension, because } = uncalled;
      const message = `the ${dimension} of the ${account.kind} ${account.id} does not bear the call: ${because === 'spent' ? 'it is used up' : 'calls under way hold it'}`;
      return { outcome: 'budget-refused', message };
    }
    case 'throttled':
      return { outcome: 'throttled', message: `waits for the ${uncalled.limit}` };
    case 'too-many-calls':
      return { outcome: 'refused', message: `${uncalled.calls} calls of the turn were ${uncalled.what} before` };
  }
}
