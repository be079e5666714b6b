import type { Agent } from '../../authoring/define-agent.ts';
import type { CommandContext } from '../command.ts';
import type { DevOptions } from '../commands/dev.ts';
import { watchServers } from '../dev-stack/watch-servers.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { findAgent, loadOwnAgents } from '../find-agent.ts';
import { dataDirectory } from '../find-servers.ts';
import { withRunsOn } from '../open-runs.ts';
import { Interrupted, type Interrupt, listenForInterrupt } from './interrupt.ts';
import { runSample } from './sample-run.ts';
import { type Platform, startPlatform } from './start-platform.ts';
import { spellCommand } from '../spell-command.ts';

type Started = { readonly what: string; readonly stop: () => Promise<void> };

/**
 * Brings everything up, runs an agent once and stays until Ctrl-C, or with `--once` until the run's end. Then it stops what it started,
 * the newest first: workers, Temporal, PostgreSQL.
 */
export async function runDev(context: CommandContext, options: DevOptions): Promise<ExitCode> {
  const { cli } = context;
  const agents = await loadOwnAgents(cli);
  const agent = findAgent(agents, options.agent ?? defaultAgent(agents));
  const interrupt = listenForInterrupt(cli.say);
  const started: Started[] = [];
  try {
    const platform = await startPlatform(cli, agents, {
      signal: interrupt.signal,
      onStarted: (what, stop) => started.push({ what, stop }),
    });
    interrupt.signal.throwIfAborted();
    sayPlaces(context, platform, agent);
    const sample = withRunsOn(cli, platform, (runs) =>
      runSample(context, runs, agent, { ...options, once: options.once === true, signal: interrupt.signal }),
    );
    // A worker or a server that fails ends the wait; its error is the command's.
    const failure = Promise.race([failureOf(platform), failureOfServers(cli.cwd, interrupt)]);
    const exitCode = await Promise.race([sample, failure]);
    if (options.once === true) return exitCode;
    if (!interrupt.signal.aborted) {
      cli.say('ready; press Ctrl-C to stop everything');
      await Promise.race([interrupted(interrupt), failure]);
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Interrupted) return options.once === true ? EXIT.failed : EXIT.ok;
    throw error;
  } finally {
    await stopAll(context, started);
    interrupt.forget();
  }
}

/** The reference agent in this repository; elsewhere the first by name. */
function defaultAgent(agents: ReadonlyMap<string, Agent>): string {
  return agents.has('support') ? 'support' : ([...agents.keys()][0] ?? 'support');
}

function sayPlaces({ cli }: CommandContext, { temporal, workers }: Platform, { name, sampleInput }: Agent): void {
  cli.say('');
  cli.say(`Temporal  ${temporal.connectionOptions.address ?? ''}, namespace ${temporal.namespace}`);
  if (temporal.uiUrl !== null) cli.say(`Web UI    ${temporal.uiUrl}/namespaces/${temporal.namespace}/workflows`);
  if (workers.metricsUrl !== null) cli.say(`Metrics   ${workers.metricsUrl}/metrics`);
  const input = name === 'support' ? 'Where is my order A-1090? I am Liam Murphy.' : (sampleInput ?? 'Hello.');
  cli.say(`Try       ${spellCommand(`run start ${name} ${JSON.stringify(input)} --follow`)}`);
  cli.say(`          ${spellCommand('run ls')}`);
  cli.say('');
}

async function failureOf({ workers }: Platform): Promise<never> {
  await workers.finished;
  // It finishes without a failure only when it was shut down, and whoever did that is done waiting.
  return new Promise<never>(() => undefined);
}

async function failureOfServers(cwd: string, { signal }: Interrupt): Promise<never> {
  await watchServers(dataDirectory(cwd), signal);
  return new Promise<never>(() => undefined);
}

function interrupted({ signal }: Interrupt): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function stopAll({ cli }: CommandContext, started: Started[]): Promise<void> {
  for (const { what, stop } of started.toReversed()) {
    await stop().catch((error: unknown) => cli.say(`the ${what} did not stop well: ${String(error)}`));
  }
}
