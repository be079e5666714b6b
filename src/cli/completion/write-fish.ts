import { type CompletedCommand, type CompletedOption, flatten } from './command-tree.ts';

/** Writes the completion for fish 3 and later. */
export function writeFish(program: CompletedCommand): string {
  const commands = flatten(program);
  const paths = commands.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join(' ');
  return `# fish completion for ${program.name}
function __${program.name}_at
    set -l at ''
    for word in (commandline -opc)[2..]
        set -l next (string trim -- "$at $word")
        if contains -- $next ${paths}
            set at $next
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${program.name} -f
${commands.flatMap((command) => linesOf(program.name, command)).join('\n')}
`;
}

function linesOf(program: string, { path, commands, options, choices }: CompletedCommand): readonly string[] {
  const start = `complete -c ${program} -n ${quote(`__${program}_at ${quote(path)}`)}`;
  return [
    ...commands.map(({ name, summary }) => `${start} -a ${name} -d ${quote(summary)}`),
    ...choices.map((choice) => `${start} -a ${choice}`),
    ...options.map((option) => `${start} ${flagsOf(option)} -d ${quote(option.summary)}`),
  ];
}

function flagsOf({ names, takesValue, choices }: CompletedOption): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (!takesValue) return flags.join(' ');
  return [...flags, '-r', choices.length === 0 ? '-F' : `-f -a ${quote(choices.join(' '))}`].join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', String.raw`\\`).replaceAll("'", String.raw`\'`)}'`;
}
