import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Failpoint, FAILPOINTS, type FailpointName, noFailpoint } from '../domain/failpoint.ts';
import { ConfigurationError, type Environment } from './config.ts';

/**
 * What happens at an armed failpoint: `kill` ends the process as a power cut would, `stop` freezes it, `error` fails the work, and
 * `wait` goes on when the file `<name>.go` appears in `PERDURE_FAILPOINT_DIR`.
 */
type Action = 'kill' | 'stop' | 'error' | 'wait';

type Armed = {
  readonly action: Action;
  /** Passes that go through before the failpoint acts. */
  passesLeft: number;
  /** Passes that must come together before it acts; each waits for the last. */
  togetherLeft: number;
  readonly together: PromiseWithResolvers<void>;
};

/**
 * Arms the failpoints of a process from `PERDURE_FAILPOINTS`, for example `effect:intended=kill,model:replied=wait@2`: the second time
 * the model has replied, wait. `effect:sending=stop*4` freezes the process when four writes have come to their send; all four go on in the
 * moment in which it wakes. Each fires once, except `wait`, which holds everyone who comes until it is released. In
 * `PERDURE_FAILPOINT_DIR` the file `<name>.reached` has a byte for each pass that was held.
 *
 * @throws ConfigurationError for a failpoint that does not exist.
 */
export function armFailpoints(env: Environment): Failpoint {
  const armed = readArmed(env);
  if (armed.size === 0) return noFailpoint;
  const directory = env['PERDURE_FAILPOINT_DIR'];
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  return async (name) => {
    const found = armed.get(name);
    if (found === undefined) return;
    found.passesLeft -= 1;
    if (found.passesLeft > 0) return;
    const file = join(directory ?? '.', name.replace(':', '-'));
    if (directory !== undefined) appendFileSync(`${file}.reached`, '.');
    found.togetherLeft -= 1;
    if (found.togetherLeft > 0) return found.together.promise;
    if (found.action !== 'wait') armed.delete(name);
    await fire(found.action, name, file);
    found.together.resolve();
  };
}

/** Tells whether a failpoint is armed, where passing it needs a hook that ordinary processes do not have. */
export function isArmed(env: Environment, name: FailpointName): boolean {
  return readArmed(env).has(name);
}

function readArmed(env: Environment): Map<FailpointName, Armed> {
  const text = env['PERDURE_FAILPOINTS'] ?? '';
  return new Map(text === '' ? [] : text.split(',').map(parse));
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
  const match = /^([a-z:-]+)=(kill|stop|error|wait)(?:@(\d+))?(?:\*(\d+))?$/.exec(text.trim());
  const name = FAILPOINTS.find((known) => known === match?.[1]);
  if (match === null || name === undefined) {
    throw new ConfigurationError(
      `PERDURE_FAILPOINTS has ${JSON.stringify(text)}; write NAME=kill|stop|error|wait[@N][*N] with NAME one of ${FAILPOINTS.join(', ')}`,
    );
  }
  const [, , action, pass, together] = match;
  return [
    name,
    {
      action: action as Action,
      passesLeft: Number(pass ?? 1),
      togetherLeft: Number(together ?? 1),
      together: Promise.withResolvers<void>(),
    },
  ];
}
