import { type Command, InvalidArgumentError } from 'commander';
import { readCacheShares, type ReleaseCacheShare } from '../../stores/cache-shares.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { oneLine } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

/** Days that are looked at where nothing is said: a week has every day of the week in it. */
const DAYS_DEFAULT = 7;

/** The most: older observations may be gone. */
const DAYS_MAX = 90;

type Options = CommonOptions & { readonly days: number; readonly agent?: string };

/** Adds `models cache`. */
export function addModelsCache(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'cache',
    summary: "show what share of each release's input came from its providers' caches",
    examples: ['perdure models cache', 'perdure models cache --agent order-support --days 1 --json'],
  })
    .option('--agent <name>', 'show one agent')
    .option('--days <number>', `how far back to look, 1 to ${DAYS_MAX}`, toDays, DAYS_DEFAULT)
    .action(async (options: Options) => {
      const filter = { days: options.days, agent: options.agent ?? null };
      const shares = await withRuns(context.cli, async ({ stores }) => readCacheShares(stores.db, filter));
      if (shares.length === 0) context.cli.say(`no model call of the last ${options.days} days has said what it read`);
      if (options.json !== true && shares.length === 0) return;
      printData(context, options, shares, () => formatShares(shares));
    });
}

function toDays(text: string): number {
  const days = Number(text);
  if (Number.isInteger(days) && days >= 1 && days <= DAYS_MAX) return days;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${DAYS_MAX}.`);
}

function formatShares(shares: readonly ReleaseCacheShare[]): string {
  return formatTable(
    [
      { heading: 'agent' },
      { heading: 'release' },
      { heading: 'model' },
      { heading: 'calls', align: 'right' },
      { heading: 'input', align: 'right' },
      { heading: 'from cache', align: 'right' },
      { heading: 'written', align: 'right' },
    ],
    shares.map((share) => [
      oneLine(share.agent),
      share.release,
      oneLine(share.model),
      ...[share.calls, share.inputTokens].map((count) => count.toLocaleString('en-US')),
      `${(share.readPerMille / 10).toFixed(1)} %`,
      share.cacheWriteTokens.toLocaleString('en-US'),
    ]),
  );
}
