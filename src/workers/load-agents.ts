import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Agent } from '../authoring/define-agent.ts';

/**
 * Loads the agents of a folder: each sub-folder with an `agent.ts` (or `agent.js`) that exports `agent`.
 *
 * @throws Error that names the folder when an agent cannot be loaded, or when its name is not its folder's.
 */
export async function loadAgents(directory: string): Promise<Map<string, Agent>> {
  const root = resolve(directory);
  const agents = new Map<string, Agent>();
  if (!existsSync(root)) throw new Error(`there is no folder ${root}; run this where your agents/ folder is`);
  for (const entry of readdirSync(root, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = ['agent.ts', 'agent.js'].map((name) => join(root, entry.name, name)).find((path) => existsSync(path));
    if (file === undefined) continue;
    const agent = await importAgent(file);
    if (agent.name !== entry.name) {
      throw new Error(`${file} defines the agent ${agent.name}; its folder must have the same name, not ${entry.name}`);
    }
    agents.set(agent.name, agent);
  }
  return agents;
}

async function importAgent(file: string): Promise<Agent> {
  let exported: { readonly agent?: Partial<Agent> };
  try {
    exported = (await import(pathToFileURL(file).href)) as { agent?: Partial<Agent> };
  } catch (error) {
    throw new Error(`${file} cannot be loaded: ${error instanceof Error ? error.message : 'unknown reason'}`, {
      cause: error,
    });
  }
  const { agent } = exported;
  if (agent?.name !== undefined && Array.isArray(agent.tools) && agent.requirements !== undefined)
    return agent as Agent;
  throw new Error(`${file} must export "agent", made by defineAgent`);
}
