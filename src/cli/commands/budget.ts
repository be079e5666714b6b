import type { Command } from 'commander';
import { addGroup, type CommandContext } from '../command.ts';
import { addBudgetHeld } from './budget-held.ts';
import { addBudgetSet } from './budget-set.ts';
import { addBudgetShow } from './budget-show.ts';

/** Adds the commands of budgets. */
export function addBudget(program: Command, context: CommandContext): void {
  const budget = addGroup(program, {
    name: 'budget',
    summary: 'see and set what tenants, people and agents may spend, and settle what is held',
    examples: ['perdure budget show', 'perdure budget set tenant acme --usd 100 --per month'],
  });
  addBudgetShow(budget, context);
  addBudgetSet(budget, context);
  addBudgetHeld(budget, context);
}
