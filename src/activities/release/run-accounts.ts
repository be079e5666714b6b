import type { RunStart } from '../../domain/run/start.ts';
import type { RunAccounts } from '../../stores/budget-chain.ts';
import type { Stores } from '../../stores/stores.ts';

/**
 * Says which accounts are above a run. A run that goes on from another one, or takes one up, belongs to that one's conversation and person. A person is
 * the run's subject where the caller named one, else its principal, and is stored only as an HMAC.
 */
export async function runAccountsOf(
  { budgets, scopes }: Pick<Stores, 'budgets' | 'scopes'>,
  id: string,
  start: Omit<RunStart, 'input' | 'attachments'>,
): Promise<RunAccounts> {
  const { tenant, kind, principal, previous, retryOf, whenExhausted } = start;
  const before = previous ?? retryOf?.runId ?? null;
  const inherited = before === null ? null : await budgets.accountsOf(tenant, before);
  const subject = namedSubject(start);
  const person =
    subject === null
      ? (inherited?.person ?? (await scopes.subjectScope(tenant, principal)))
      : await scopes.subjectScope(tenant, subject);
  return {
    person,
    conversation: kind === 'conversation' ? (inherited?.conversation ?? before ?? id) : null,
    waits: whenExhausted === 'wait',
  };
}

/** A conversation about whoever speaks in it has a subject of its own that is nobody's name: its start key says which. */
function namedSubject({ kind, subject, startKey }: Pick<RunStart, 'kind' | 'subject' | 'startKey'>): string | null {
  const own = `conversation ${startKey.replace(/^([^ #]+)#\d+ /, '$1 ')}`;
  return subject === undefined || (kind === 'conversation' && subject === own) ? null : subject;
}
