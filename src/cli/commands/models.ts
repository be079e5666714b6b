import type { Command } from 'commander';
import { addGroup, type CommandContext } from '../command.ts';
import { addModelsBreakers } from './models-breakers.ts';
import { addModelsCache } from './models-cache.ts';
import { addModelsCheck } from './models-check.ts';
import { addModelsLs } from './models-ls.ts';
import { addModelsPrices } from './models-prices.ts';
import { addModelsResetBreaker } from './models-reset-breaker.ts';
import { addModelsTest } from './models-test.ts';

/** Adds the commands about models. */
export function addModels(program: Command, context: CommandContext): void {
  const models = addGroup(program, {
    name: 'models',
    summary: 'try models, see what they cost, and check that those of the agents have a price',
    examples: ['perdure models ls anthropic', 'perdure models prices openai:gpt-5-mini', 'perdure models test'],
  });
  addModelsLs(models, context);
  addModelsPrices(models, context);
  addModelsCheck(models, context);
  addModelsTest(models, context);
  addModelsBreakers(models, context);
  addModelsResetBreaker(models, context);
  addModelsCache(models, context);
}
