import type { Command } from 'commander';
import { RATE_DIMENSIONS } from '../../domain/quota/rate-limit.ts';
import type { RateRecord, TenantWeight } from '../../stores/rate-records.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, formatMoment } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

/** Adds `limits show`. */
export function addLimitsShow(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'show',
    summary: 'show the rate limits of providers, how much is used now, whose calls wait, and the weights of tenants',
    examples: ['perdure limits show', 'perdure limits show --json'],
  }).action(async (options: CommonOptions) => {
    const shown = await withRuns(context.cli, async ({ stores }) => ({
      credentials: await stores.rateLimits.show(),
      weights: await stores.rateLimits.weights(),
    }));
    const { credentials, weights } = shown;
    if (credentials.length === 0)
      context.cli.say('no model call was made under a rate limit; see PERDURE_MODEL_LIMITS');
    if (options.json !== true && credentials.length === 0 && weights.length === 0) return;
    printData(context, options, shown, () => formatLimits(credentials, weights));
  });
}

function formatLimits(credentials: readonly RateRecord[], weights: readonly TenantWeight[]): string {
  const rates = formatTable(
    [
      { heading: 'credential' },
      { heading: 'limit' },
      { heading: 'used', align: 'right' },
      { heading: 'of', align: 'right' },
      { heading: 'in', align: 'right' },
      { heading: 'last call' },
      { heading: 'waiting' },
    ],
    credentials.flatMap(rowsOf),
  );
  const set = formatTable(
    [{ heading: 'tenant' }, { heading: 'weight', align: 'right' }],
    weights.map(({ tenant, weight }) => [tenant, String(weight)]),
  );
  const held = credentials.flatMap(({ credential, heldUntil }) =>
    heldUntil === null
      ? []
      : [`${credential}: its provider refused a call for the rate; nobody calls until ${formatMoment(heldUntil)}`],
  );
  return [...(credentials.length === 0 ? [] : [rates]), ...held, ...(weights.length === 0 ? [] : [set])].join('\n\n');
}

function rowsOf({ credential, limit, used, usedAt, waiting }: RateRecord): readonly (readonly string[])[] {
  const who = waiting.map(
    ({ tenant, weight, calls }) =>
      `${tenant}: ${formatCount(calls, 'call')}${weight === 1 ? '' : ` (weight ${weight})`}`,
  );
  return RATE_DIMENSIONS.flatMap((dimension) => {
    const most = limit[dimension];
    if (most === null) return [];
    const seconds = `${limit.windowMs / 1_000} s`;
    return [
      [
        credential,
        dimension,
        String(Math.round(used[dimension])),
        String(Math.round(most)),
        seconds,
        formatMoment(usedAt),
        who.join(', '),
      ],
    ];
  });
}
