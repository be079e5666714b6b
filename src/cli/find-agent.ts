import { resolve } from 'node:path';
import type { Agent } from '../authoring/define-agent.ts';
import { loadAgents } from '../workers/load-agents.ts';
import type { Cli } from './cli.ts';
import { CommandError, EXIT } from './exit.ts';
import { suggest } from './suggest.ts';

/** Loads the agents of the folder that the command runs in. */
export async function loadOwnAgents({ cwd, env }: Pick<Cli, 'cwd' | 'env'>): Promise<ReadonlyMap<string, Agent>> {
  return loadAgents(resolve(cwd, env['PERDURE_AGENTS_DIR'] || 'agents'));
}

/**
 * Finds an agent by its name.
 *
 * @throws CommandError that lists the agents there are.
 */
export function findAgent(agents: ReadonlyMap<string, Agent>, name: string): Agent {
  const agent = agents.get(name);
  if (agent !== undefined) return agent;
  const names = [...agents.keys()];
  const meant = suggest(name, names);
  const hint = meant === null ? '' : ` Did you mean ${meant}?`;
  throw new CommandError(
    EXIT.notFound,
    `there is no agent ${JSON.stringify(name)}.${hint} The agents are: ${names.join(', ') || 'none'}.`,
  );
}
