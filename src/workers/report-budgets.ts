import type { Logger } from '../runtime/logger.ts';
import type { BudgetWarning, OnBudgetWarned } from '../stores/charge-calls.ts';

/** Logs that an account has used 80 % of a cap, and counts it. */
export function reportBudgets(logger: Logger, count: OnBudgetWarned): OnBudgetWarned {
  return (warning) => {
    logger.warn({ tenant: warning.tenant, problem: describeWarning(warning) }, 'a budget is 80 % used');
    count(warning);
  };
}

function describeWarning({ kind, id, period, usedUsd, capUsd, usedTokens, capTokens }: BudgetWarning): string {
  const uses = [
    ...(capUsd === null ? [] : [`${usedUsd} of ${capUsd} USD`]),
    ...(capTokens === null ? [] : [`${usedTokens} of ${capTokens} tokens`]),
  ];
  return `${kind} ${id} has used ${uses.join(' and ')}${period === 'total' ? '' : ` of this ${period}`}`;
}
