import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a command printed, both streams as a person sees them, and how it ended. */
export type Ended = { readonly exitCode: number | null; readonly output: string };

/** A command that runs until it is interrupted. */
export type Staying = {
  /** Waits until it has printed something, and gives all that it has printed. */
  readonly until: (pattern: RegExp, timeoutMs: number) => Promise<string>;
  /** Presses Ctrl-C. */
  readonly interrupt: () => Promise<Ended>;
};

/** A terminal in a folder, as somebody has it who knows nothing of this repository. */
export type Terminal = {
  readonly run: (commands: string, timeoutMs: number) => Promise<Ended>;
  readonly stay: (command: string) => Staying;
};

/** Opens a terminal. `print` gets what commands print, as it comes. */
export function openTerminal(cwd: string, env: NodeJS.ProcessEnv, print: (text: string) => void): Terminal {
  const start = (commands: string): { readonly child: ChildProcess; readonly output: () => string } => {
    // A process group of its own: Ctrl-C reaches all of it, as in a terminal.
    const child = spawn('bash', ['-e', '-c', commands], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
        print(chunk.toString('utf8'));
      });
    }
    return { child, output: () => output };
  };
  return {
    run: async (commands, timeoutMs) => {
      const { child, output } = start(commands);
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), timeoutMs);
      const [exitCode] = (await once(child, 'close')) as [number | null];
      clearTimeout(timer);
      return { exitCode, output: output() };
    },
    stay: (command) => {
      const { child, output } = start(command);
      const closed = once(child, 'close');
      return {
        until: async (pattern, timeoutMs) => {
          const giveUpAt = Date.now() + timeoutMs;
          while (!pattern.test(output())) {
            if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode} before ${pattern}`);
            if (Date.now() > giveUpAt) throw new Error(`${command} did not print ${pattern} within ${timeoutMs} ms`);
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
          return output();
        },
        interrupt: async () => {
          signalGroup(child, 'SIGINT');
          const [exitCode] = (await closed) as [number | null];
          return { exitCode, output: output() };
        },
      };
    },
  };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It ended in between.
  }
}

/** What tells of npm's run, of servers, of keys and of settings; where programs are cached is the machine's. */
const FOREIGN = /^(?:npm_|TEMPORAL_|OPENAI_|DATABASE_URL$|NODE_OPTIONS$|INIT_CWD$|PERDURE_(?!CACHE$|TEMPORAL_CLI$))/i;

/** The environment of a reader: nothing of npm's, of this repository's programs, of servers or of keys. */
export function readersEnvironment(env: NodeJS.ProcessEnv, repository: string): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
  const path = (env['PATH'] ?? '').split(':').filter((folder) => !folder.startsWith(repository));
  return { ...Object.fromEntries(kept), PATH: path.join(':'), NO_COLOR: '1', TEMPORAL_CONFIG_FILE: '/none.toml' };
}
