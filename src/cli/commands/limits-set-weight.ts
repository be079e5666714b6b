import { type Command, InvalidArgumentError } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { withRuns } from '../open-runs.ts';

/** Weights as Temporal's fairness takes them: a tenant is never shut out, and none is a million times another. */
const WEIGHT_LEAST = 0.001;
const WEIGHT_MOST = 1_000;

type Options = CommonOptions & { readonly by?: string };

/** Adds `limits set-weight`. */
export function addLimitsSetWeight(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'set-weight',
    summary: 'set how much of a provider a tenant has beside others when there is not enough for all',
    examples: ['perdure limits set-weight acme 3'],
  })
    .argument('<tenant>', 'the tenant', parseTenant)
    .argument('<weight>', 'its weight; every tenant has 1 until another is set', parseWeight)
    .option('--by <principal>', `who decided it (default: ${context.cli.account})`)
    .action(async (tenant: string, weight: number, options: Options) => {
      const principal = options.by ?? context.cli.account;
      await withRuns(context.cli, ({ stores }) => stores.rateLimits.setWeight(tenant, weight, principal));
      printData(context, options, { tenant, weight }, () => `${tenant} ${weight}`);
      context.cli.say('calls that are asked for from now on are decided by it');
    });
}

function parseTenant(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('It must have 1 to 64 letters, digits, dots, dashes or underscores.');
}

function parseWeight(text: string): number {
  const weight = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (weight >= WEIGHT_LEAST && weight <= WEIGHT_MOST) return weight;
  throw new InvalidArgumentError(`It must be a number from ${WEIGHT_LEAST} to ${WEIGHT_MOST}.`);
}
