import type { Logger } from '../runtime/logger.ts';
import { formatUsd } from '../domain/model/price.ts';
import type { BudgetWarning, OnBudgetWarned } from '../stores/charge-calls.ts';
import type { OnAttemptClosed } from '../stores/observations.ts';

/** Logs that an account has used 80 % of a cap, and counts it. */
export function reportBudgets(logger: Logger, count: OnBudgetWarned): OnBudgetWarned {
  return (warning) => {
    logger.warn({ tenant: warning.tenant, problem: describeWarning(warning) }, 'a budget is 80 % used');
    count(warning);
  };
}

/** Logs that a call was charged more than was reserved for it, and counts what was charged. */
export function reportCharges(logger: Logger, count: OnAttemptClosed): OnAttemptClosed {
  return (attempt) => {
    const { agent, name, chargedPico, overPico } = attempt;
    if (overPico > 0n) {
      const problem = `${name} charged ${formatUsd(chargedPico)} USD, ${formatUsd(overPico)} USD more than was reserved`;
      logger.warn({ agent, problem }, 'a call cost more than was reserved');
    }
    count(attempt);
  };
}

function describeWarning({ kind, id, period, usedUsd, capUsd, usedTokens, capTokens }: BudgetWarning): string {
  const uses = [
    ...(capUsd === null ? [] : [`${usedUsd} of ${capUsd} USD`]),
    ...(capTokens === null ? [] : [`${usedTokens} of ${capTokens} tokens`]),
  ];
  return `${kind} ${id} has used ${uses.join(' and ')}${period === 'total' ? '' : ` of this ${period}`}`;
}
