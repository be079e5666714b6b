import { createInterface } from 'node:readline';
import type { Cli } from './cli.ts';

/** What the person types, or what is piped in. */
export type Lines = {
  /** Gives the next line, or null at the end. */
  readonly next: () => Promise<string | null>;
  /** Takes a `/stop` or `/exit` that was typed while the agent works. What is piped in is taken in its order. */
  readonly takeUrgent: () => string | null;
  readonly close: () => void;
};

/** Reads lines as they come where the process is ours, and otherwise all at once. */
export function readLines(cli: Cli): Lines {
  const isOwnProcess = cli.env === process.env;
  const isTerminal = isOwnProcess && process.stdin.isTTY;
  const state = { queue: [] as string[], isOver: false, wake: (): void => undefined };
  const finish = (): void => {
    state.isOver = true;
    state.wake();
  };
  const add = (line: string): void => {
    state.queue.push(line.trimEnd());
    state.wake();
  };
  const terminal = isTerminal ? { output: process.stderr, prompt: '> ' } : {};
  const input = isOwnProcess ? createInterface({ input: process.stdin, ...terminal }) : null;
  input?.on('line', add).on('close', finish);
  const addAll = async (): Promise<void> => {
    const bytes = await cli.readStdin();
    bytes.toString('utf8').split('\n').forEach(add);
  };
  if (input === null) void addAll().finally(finish);
  return {
    next: async () => {
      if (isTerminal && !state.isOver) input?.prompt();
      while (state.queue.length === 0 && !state.isOver) {
        await new Promise<void>((resolve) => (state.wake = resolve));
      }
      return state.queue.shift() ?? null;
    },
    takeUrgent: () => {
      if (!isTerminal) return null;
      const index = state.queue.findIndex((line) => /^\/(?:stop\b|exit$)/.test(line));
      if (index !== -1) return state.queue.splice(index, 1)[0] ?? null;
      // Ctrl-C and Ctrl-D close the terminal's input.
      return state.isOver && state.queue.length === 0 ? '/exit' : null;
    },
    close: () => input?.close(),
  };
}
