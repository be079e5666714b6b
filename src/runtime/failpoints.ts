import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Failpoint, FAILPOINTS, type FailpointName, noFailpoint } from '../domain/failpoint.ts';
import { ConfigurationError, type Environment } from './config.ts';

/**
 * What happens at an armed failpoint: `kill` ends the process as a power cut would, `stop` freezes it, `error` fails the work, and
 * `wait` goes on when the file `<name>.go` appears in `PERDURE_FAILPOINT_DIR`.
 */
type Action = 'kill' | 'stop' | 'error' | 'wait';

type Armed = { readonly action: Action; passesLeft: number };

/**
 * Arms the failpoints of a process from `PERDURE_FAILPOINTS`, for example `effect:intended=kill,model:replied=wait@2`: the second time
 * the model has replied, wait. Each fires once. In `PERDURE_FAILPOINT_DIR` the file `<name>.reached` says that it did.
 *
 * @throws ConfigurationError for a failpoint that does not exist.
 */
export function armFailpoints(env: Environment): Failpoint {
  const text = env['PERDURE_FAILPOINTS'];
  if (text === undefined || text === '') return noFailpoint;
  const directory = env['PERDURE_FAILPOINT_DIR'];
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  const armed = new Map<FailpointName, Armed>(text.split(',').map(parse));
  return async (name) => {
    const found = armed.get(name);
    if (found === undefined) return;
    found.passesLeft -= 1;
    if (found.passesLeft > 0) return;
    armed.delete(name);
    const file = join(directory ?? '.', name.replace(':', '-'));
    if (directory !== undefined) writeFileSync(`${file}.reached`, String(process.pid));
    await fire(found.action, name, file);
  };
}

async function fire(action: Action, name: FailpointName, file: string): Promise<void> {
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return;
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      return;
    case 'error':
      throw new Error(`failpoint ${name}`);
    case 'wait':
      while (!existsSync(`${file}.go`)) await delay(20);
  }
}

function parse(text: string): [FailpointName, Armed] {
  const match = /^([a-z:-]+)=(kill|stop|error|wait)(?:@(\d+))?$/.exec(text.trim());
  const name = FAILPOINTS.find((known) => known === match?.[1]);
  if (match === null || name === undefined) {
    throw new ConfigurationError(
      `PERDURE_FAILPOINTS has ${JSON.stringify(text)}; write NAME=kill|stop|error|wait[@N] with NAME one of ${FAILPOINTS.join(', ')}`,
    );
  }
  return [name, { action: match[2] as Action, passesLeft: Number(match[3] ?? 1) }];
}
