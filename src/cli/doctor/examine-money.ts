import { isNearCap } from '../../domain/policy/budget.ts';
import { formatUsd } from '../../domain/model/price.ts';
import type { AccountRecord } from '../../stores/budget-reader.ts';
import type { Db } from '../../stores/database.ts';
import type { HeldReservation } from '../../stores/held-reader.ts';
import type { RateRecord } from '../../stores/rate-records.ts';
import { createStores } from '../../stores/stores.ts';
import { accountData, formatShare, nameOfAccount } from '../format/budget.ts';
import { formatCount } from '../format/units.ts';
import { spellCommand } from '../spell-command.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Looks for what holds calls up: money that nobody settles, caps that are nearly used up, calls that wait for a provider's rate. */
export async function examineMoney(db: Db): Promise<readonly Finding[]> {
  const { budgets, rateLimits } = createStores(db);
  return [
    judgeHeld(await budgets.held(null)),
    ...judgeBudgets(await budgets.list(null, {})),
    ...judgeRates(await rateLimits.show()),
  ];
}

/** Judges what is held for calls of which nobody knows what they cost. */
export function judgeHeld(held: readonly HeldReservation[]): Finding {
  const subject = 'held money';
  if (held.length === 0) return ok(subject, 'nothing is held');
  const pico = held.reduce((sum, { worstPico }) => sum + worstPico, 0n);
  const ended = held.filter(({ hasEnded }) => hasEnded).length;
  const message = `${formatCount(held.length, 'call')} of unknown cost hold at most ${formatUsd(pico)} USD, ${ended} of them of runs that have ended`;
  const mend = `${spellCommand('budget held')} lists them; look them up at the provider, and say what each cost with ${spellCommand('budget settle')}`;
  return warn(subject, message, mend);
}

/** Judges the caps above the run. */
export function judgeBudgets(accounts: readonly AccountRecord[]): readonly Finding[] {
  const subject = 'budgets';
  const near = accounts.filter(isNearCap);
  if (near.length === 0) {
    const caps = accounts.length === 0 ? 'no cap above the run' : `${formatCount(accounts.length, 'cap')}, none near`;
    return [ok(subject, caps)];
  }
  return near.map((account) => {
    const { kind, tenant, period } = account;
    const name = nameOfAccount(account);
    const of = kind === 'user' || kind === 'conversation' ? ` --tenant ${tenant}` : '';
    const topUp = spellCommand(`budget top-up ${name}${of} --usd 5`);
    const mend = period === 'total' ? topUp : `${topUp}, or wait for its next ${period}`;
    return warn(subject, `${name} has used ${formatShare(accountData(account))} of its cap`, mend);
  });
}

/** Judges the rate limits by who waits for them. */
export function judgeRates(credentials: readonly RateRecord[]): readonly Finding[] {
  const subject = 'rate limits';
  const busy = credentials.filter(({ waiting }) => waiting.length > 0);
  if (busy.length === 0) {
    return [ok(subject, credentials.length === 0 ? 'none was asked for' : 'no call waits for one')];
  }
  return busy.map((record) => {
    const calls = record.waiting.reduce((sum, each) => sum + each.calls, 0);
    const tenants = record.waiting.map(({ tenant }) => tenant).join(', ');
    return warn(
      subject,
      `${formatCount(calls, 'call')} of ${tenants} ${calls === 1 ? 'waits' : 'wait'} for the limit of ${record.subject}`,
      `they go on by themselves; ${spellCommand('limits show')} says what is used, PERDURE_MODEL_LIMITS raises it`,
    );
  });
}
