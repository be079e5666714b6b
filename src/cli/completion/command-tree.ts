import type { Command, Option } from 'commander';

/** An option that can be completed. */
export type CompletedOption = {
  /** As it is typed: `--json`, `-h`. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Whether a value follows. */
  readonly takesValue: boolean;
  /** The values there are; empty where any may follow. */
  readonly choices: readonly string[];
};

/** A command, or the program itself. */
export type CompletedCommand = {
  /** The words that lead to it, with spaces between them; empty for the program. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly CompletedCommand[];
  readonly options: readonly CompletedOption[];
  /** Values of its arguments, where they are a closed list. */
  readonly choices: readonly string[];
};

const HELP: CompletedOption = { names: ['--help'], summary: 'display help', takesValue: false, choices: [] };

/** Reads what can be completed from a commander program. */
export function readCommandTree(command: Command, before: readonly string[] = []): CompletedCommand {
  return {
    path: before.join(' '),
    name: command.name(),
    summary: command.description(),
    commands: command.commands.map((child) => readCommandTree(child, [...before, child.name()])),
    options: [...command.options.map(readOption), HELP],
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  };
}

/** Lists a command and everything below it. */
export function flatten(command: CompletedCommand): readonly CompletedCommand[] {
  return [command, ...command.commands.flatMap(flatten)];
}

function readOption({ short, long, description, required, optional, argChoices }: Option): CompletedOption {
  return {
    names: [long, short].filter((name) => name !== undefined && name !== null),
    summary: description,
    takesValue: required || optional,
    choices: argChoices ?? [],
  };
}
