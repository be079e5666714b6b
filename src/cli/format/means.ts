import { RATE_DIMENSIONS } from '../../domain/quota/rate-limit.ts';
import type { RateRecord } from '../../stores/rate-records.ts';
import type { RunMeans, RunRoute } from '../run-means.ts';
import { spellCommand } from '../spell-command.ts';
import { formatBudgets } from './budget.ts';
import { formatTable } from './table.ts';
import { formatCost, formatCount, formatMoment } from './units.ts';

/** Writes what a run calls models with. One model, without a cap above the run or a limit, needs no words beside the run's own. */
export function formatMeans(means: RunMeans): readonly string[] {
  const { budgets, limits } = means;
  const isTold = budgets.length > 1 || budgets.some((account) => account.isNearCap);
  return [
    ...formatModels(means),
    ...(isTold ? [formatBudgets(budgets)] : []),
    ...(limits.length === 0 ? [] : [limits.map(formatLimit).join('\n')]),
  ];
}

function formatModels({ chains, routes, breakers }: RunMeans): readonly string[] {
  const isPlain =
    chains.every(({ tier, models }) => tier === 'standard' && models.length === 1) &&
    routes.length <= 1 &&
    breakers.length === 0;
  if (isPlain) return [];
  const lines = chains.map(({ tier, models }) => `Models of tier ${tier}: ${models.join(', then ')}`);
  const open = breakers.map(
    ({ model, status, since, halfOpenAt }) =>
      `${model} failed too often: its breaker is ${status} since ${formatMoment(since)}${halfOpenAt === null ? '' : `, tried again at ${formatMoment(halfOpenAt)}`}\n  ${spellCommand(`models reset-breaker ${model} --reason "why"`)}    has it called again at once`,
  );
  return [[...lines, ...(routes.length === 0 ? [] : [formatRoutes(routes)]), ...open].join('\n')];
}

function formatRoutes(routes: readonly RunRoute[]): string {
  return formatTable(
    [
      { heading: '  asked' },
      { heading: 'tier' },
      { heading: 'attempts', align: 'right' },
      { heading: 'replied', align: 'right' },
      { heading: 'tokens', align: 'right' },
      { heading: 'cost', align: 'right' },
      { heading: 'in the place of' },
    ],
    routes.map((route) => [
      `  ${route.model}`,
      route.tier ?? '',
      String(route.attempts),
      String(route.replied),
      `${route.inputTokens} → ${route.outputTokens}`,
      formatCost(route.costPico, route.isCostSimulated),
      formatFallback(route.fallback),
    ]),
  );
}

/** Turns the row's `breaker-open openai:gpt-5` round. */
function formatFallback(fallback: string | null): string {
  if (fallback === null) return '';
  const [why = '', ...from] = fallback.split(' ');
  return `${from.join(' ')} (${why})`;
}

function formatLimit({ subject, limit, used, waiting }: RateRecord): string {
  const parts = RATE_DIMENSIONS.flatMap((dimension) => {
    const most = limit[dimension];
    if (most === null) return [];
    return [
      `${Math.round(used[dimension]).toLocaleString('en-US')} of ${Math.round(most).toLocaleString('en-US')} ${dimension}`,
    ];
  });
  const calls = waiting.reduce((sum, each) => sum + each.calls, 0);
  const wait = calls === 0 ? '' : `; ${formatCount(calls, 'call')} ${calls === 1 ? 'waits' : 'wait'}`;
  return `Limit of ${subject}: ${parts.join(' and ')} used in ${limit.windowMs / 1_000} s${wait}`;
}
