import type { Command } from 'commander';
import { openPriceBook } from '../../runtime/price-book.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import type { Finding } from '../doctor/finding.ts';
import { EXIT } from '../exit.ts';
import { loadOwnAgents } from '../find-agent.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, oneLine } from '../format/units.ts';
import { type AgentModel, examineModelPrices, examinePriceBook, examineService } from '../models/examine-prices.ts';

/** Adds `models check`. */
export function addModelsCheck(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'check',
    summary: 'check that every model of the agents has a price here; ends with 3 when one has none',
    examples: ['perdure models check', 'perdure models check --json'],
  }).action(async (options: CommonOptions) => {
    const { cli } = context;
    const book = openPriceBook(cli.env);
    const agents = [...(await loadOwnAgents(cli)).values()];
    const findings = [...examinePriceBook(cli.env, book.now()), ...examineService(agents, cli.env, book)];
    const models = examineModelPrices(agents, cli.env, book);
    printData(context, options, { findings, models }, () => formatCheck(findings, models));
    const missing = models.filter(({ price }) => price === 'none');
    if (missing.length === 0) return;
    cli.say(
      `${formatCount(missing.length, 'model')} without a price: runs would be refused, because no cap could be kept. Write the prices into the file of PERDURE_PRICES_FILE, or set PERDURE_MODEL_CEILING_USD_PER_MTOK to what a million tokens cost at most.`,
    );
    endWith(context, EXIT.gate);
  });
}

function formatCheck(findings: readonly Finding[], models: readonly AgentModel[]): string {
  const lines = findings.map(({ status, subject, message, mend }) =>
    oneLine(`${status} ${subject}: ${message}${mend === null ? '' : `; ${mend}`}`),
  );
  const table = formatTable(
    [
      { heading: 'model' },
      { heading: 'price' },
      { heading: 'input', align: 'right' },
      { heading: 'output', align: 'right' },
      { heading: 'version' },
      { heading: 'agents' },
    ],
    models.map(({ id, price, input, output, version, agents }) => [
      oneLine(id),
      price,
      input ?? '',
      output ?? '',
      version ?? '',
      agents.join(', '),
    ]),
  );
  return [...lines, ...(models.length === 0 ? [] : ['', table])].join('\n');
}
