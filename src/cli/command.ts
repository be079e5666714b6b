import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import type { ExitCode } from './exit.ts';

/** What a command's action gets besides its arguments. */
export type CommandContext = { readonly cli: Cli; readonly ending: { exitCode: number } };

/** Options of every command. */
export type CommonOptions = { readonly json?: boolean; readonly verbose?: boolean };

/** A command before its own arguments and options. */
export type CommandSpec = {
  /** The last word. */
  readonly name: string;
  readonly summary: string;
  /** Whole lines that a person could type. */
  readonly examples: readonly string[];
};

/** Adds a command with what all of them share: `--json`, `--verbose`, and examples in its help. */
export function addCommand(parent: Command, { name, summary, examples }: CommandSpec): Command {
  return parent
    .command(name)
    .description(summary)
    .option('--json', 'print JSON instead of text')
    .option('--verbose', 'show the whole error when something fails')
    .addHelpText('after', examplesOf(examples));
}

/** Adds a noun, whose verbs are commands of their own. */
export function addGroup(parent: Command, { name, summary, examples }: CommandSpec): Command {
  return parent.command(name).description(summary).addHelpText('after', examplesOf(examples));
}

/** Sets the exit code that a command ends with. */
export function endWith({ ending }: CommandContext, exitCode: ExitCode): void {
  ending.exitCode = exitCode;
}

/** Writes data: as JSON where that was asked for, otherwise as text. */
export function printData({ cli }: CommandContext, { json }: CommonOptions, data: unknown, text: () => string): void {
  cli.print(json === true ? JSON.stringify(data, null, 2) : text());
}

function examplesOf(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`;
}
