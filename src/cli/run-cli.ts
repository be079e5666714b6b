import { CommanderError } from 'commander';
import type { Cli } from './cli.ts';
import { EXIT } from './exit.ts';
import { explainError } from './explain-error.ts';
import { closeTelemetry } from './open-telemetry.ts';
import { createProgram } from './program.ts';
import { respell } from './spell-command.ts';

/**
 * Runs one command and gives its exit code. No stack trace reaches the person, unless `--verbose` or `PERDURE_DEBUG` asks for it.
 *
 * @param parameters What follows the name of the program.
 */
export async function runCli(parameters: readonly string[], cli: Cli): Promise<number> {
  const ending = { exitCode: EXIT.ok as number };
  try {
    await createProgram(cli, ending).parseAsync([...parameters], { from: 'user' });
    return ending.exitCode;
  } catch (error) {
    // Commander has said what is wrong, or printed the help or the version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { message, exitCode } = explainError(error);
    cli.say(`error: ${respell(message, cli.env)}`);
    if (isVerbose(parameters, cli)) cli.say(detailsOf(error));
    return exitCode;
  } finally {
    await closeTelemetry();
  }
}

function isVerbose(parameters: readonly string[], { env }: Cli): boolean {
  return parameters.includes('--verbose') || Boolean(env['PERDURE_DEBUG']);
}

function detailsOf(error: unknown): string {
  const lines: string[] = [];
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    lines.push(current.stack ?? current.message);
  }
  return lines.join('\ncaused by: ');
}
