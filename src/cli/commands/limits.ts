import type { Command } from 'commander';
import { addGroup, type CommandContext } from '../command.ts';
import { addLimitsSetWeight } from './limits-set-weight.ts';
import { addLimitsShow } from './limits-show.ts';

/** Adds the commands about rate limits. */
export function addLimits(program: Command, context: CommandContext): void {
  const limits = addGroup(program, {
    name: 'limits',
    summary: 'see the rate limits of providers, and share them among tenants',
    examples: ['perdure limits show', 'perdure limits set-weight acme 3'],
  });
  addLimitsShow(limits, context);
  addLimitsSetWeight(limits, context);
}
