import type { Command } from 'commander';
import { effectiveModelId } from '../../activities/model/providers.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { loadOwnAgents } from '../find-agent.ts';
import { formatTable } from '../format/table.ts';
import { oneLine } from '../format/units.ts';
import { formatCap } from './agent-format.ts';
import { spellCommand } from '../spell-command.ts';

type ListedAgent = {
  readonly name: string;
  readonly purpose: string;
  readonly owner: string;
  readonly tools: readonly string[];
  readonly costPerRunUsd: number;
  /** The model that a run which starts here and now gets. */
  readonly model: string;
};

/** Adds `agent ls`. */
export function addAgentLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list the agents of ./agents',
    examples: ['perdure agent ls', 'perdure agent ls --json'],
  }).action(async (options: CommonOptions) => {
    const { cli } = context;
    const agents = [...(await loadOwnAgents(cli)).values()].map(
      ({ name, purpose, owner, tools, requirements, models }): ListedAgent => ({
        name,
        purpose,
        owner,
        tools: tools.map(({ contract }) => contract.name),
        costPerRunUsd: requirements.costPerRunUsd,
        model: effectiveModelId(models.standard.id, cli.env),
      }),
    );
    if (agents.length === 0) cli.say(`no agents; ${spellCommand('agent new')} makes one`);
    if (agents.length > 0 || options.json === true) printData(context, options, agents, () => formatAgents(agents));
  });
}

function formatAgents(agents: readonly ListedAgent[]): string {
  return formatTable(
    [
      { heading: 'name' },
      { heading: 'owner' },
      { heading: 'tools', align: 'right' },
      { heading: 'cap', align: 'right' },
      { heading: 'model' },
      { heading: 'purpose' },
    ],
    agents.map((agent) => [
      agent.name,
      oneLine(agent.owner),
      String(agent.tools.length),
      formatCap(agent.costPerRunUsd),
      agent.model,
      oneLine(agent.purpose),
    ]),
  );
}
