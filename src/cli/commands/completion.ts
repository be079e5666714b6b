import { Argument, type Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { readCommandTree } from '../completion/command-tree.ts';
import { writeBash } from '../completion/write-bash.ts';
import { writeFish } from '../completion/write-fish.ts';
import { writeZsh } from '../completion/write-zsh.ts';

const WRITERS = { bash: writeBash, zsh: writeZsh, fish: writeFish } as const;

type Shell = keyof typeof WRITERS;

/** Adds `completion`. The script knows the commands of the program that it is added to. */
export function addCompletion(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'completion',
    summary: 'print a script that completes commands in a shell',
    examples: [
      'source <(perdure completion bash)',
      'source <(perdure completion zsh)',
      'perdure completion fish > ~/.config/fish/completions/perdure.fish',
    ],
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(WRITERS)))
    .action((shell: Shell, options: CommonOptions) => {
      const script = WRITERS[shell](readCommandTree(parent));
      printData(context, options, { shell, script }, () => script.trimEnd());
    });
}
