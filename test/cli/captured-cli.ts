import type { Cli } from '../../src/cli/cli.ts';
import { runCli } from '../../src/cli/run-cli.ts';

/** What a command wrote and how it ended. */
export type Ended = { readonly exitCode: number; readonly out: string; readonly said: string };

/** Runs commands in this process and keeps what they write. */
export function capturedCli(
  env: NodeJS.ProcessEnv,
  { cwd = process.cwd(), stdin = '' } = {},
): (...parameters: readonly string[]) => Promise<Ended> {
  return async (...parameters) => {
    const out: string[] = [];
    const said: string[] = [];
    const cli: Cli = {
      env,
      cwd,
      print: (line) => out.push(line),
      say: (line) => said.push(line),
      readStdin: async () => Buffer.from(stdin),
      account: 'tester',
    };
    const exitCode = await runCli(parameters, cli);
    return { exitCode, out: out.join('\n'), said: said.join('\n') };
  };
}
