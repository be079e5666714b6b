import type { Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, endWith } from '../command.ts';

export type DevOptions = CommonOptions & { readonly once?: boolean; readonly agent?: string };

/** Adds `dev`, which is what `npm start` runs. */
export function addDev(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'dev',
    summary: 'bring up everything on this machine and run an agent once',
    examples: ['perdure dev', 'perdure dev --once', 'perdure dev --agent support'],
  })
    .option('--once', 'stop everything after the run; exit 0 when it completed')
    .option('--agent <name>', 'the agent to run; default: support where there is one, else the first of ./agents')
    .action(async (options: DevOptions) => {
      // Workers load a native library, so other commands do without.
      const { runDev } = await import('../dev/run-dev.ts');
      endWith(context, await runDev(context, options));
    });
}
