import type { Command } from 'commander';
import { CommandError, EXIT } from './exit.ts';
import type { OpenRuns } from './open-runs.ts';
import { spellCommand } from './spell-command.ts';

/**
 * Finds the tenant of a run that a person named by its id.
 *
 * @throws CommandError when neither the database nor Temporal knows the run.
 */
export async function findRunTenant({ reader, client }: OpenRuns, id: string): Promise<string | null> {
  const tenant = await reader.findTenant(id);
  if (tenant !== null) return tenant;
  // It may have been started and not yet admitted, or refused; Temporal then knows it and the database does not.
  if (await client.run(id).exists()) return null;
  throw new CommandError(EXIT.notFound, `there is no run ${id}; ${spellCommand('run ls')} lists the newest`);
}

/** Adds the argument that names a run. */
export function addRunArgument(command: Command): Command {
  return command.argument('<id>', 'id of the run');
}
