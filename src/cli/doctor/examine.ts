import type { Cli } from '../cli.ts';
import { examineAgents } from './examine-agents.ts';
import { examineBreakers } from './examine-breakers.ts';
import { examineMachine } from './examine-machine.ts';
import { examinePostgres } from './examine-postgres.ts';
import { examineTemporal } from './examine-temporal.ts';
import type { Finding } from './finding.ts';

/** Looks at everything that Perdure needs, from the machine up. Changes nothing and starts nothing. */
export async function examine(cli: Cli): Promise<readonly Finding[]> {
  return (
    await Promise.all([
      examineMachine(cli),
      examineTemporal(cli),
      examinePostgres(cli),
      examineAgents(cli),
      examineBreakers(cli),
    ])
  ).flat();
}
