import { type CompletedCommand, flatten } from './command-tree.ts';

/** Writes the completion for bash 3.2 and later. */
export function writeBash(program: CompletedCommand): string {
  const commands = flatten(program);
  const values = commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ names, choices }) => names.map((name) => `    '${path} ${name}') words='${choices.join(' ')}' ;;`)),
  );
  const words = commands.map(({ path, commands: below, options, choices }) => {
    const all = [...below.map(({ name }) => name), ...choices, ...options.flatMap(({ names }) => names)];
    return `    '${path}') words='${all.join(' ')}' ;;`;
  });
  return `# bash completion for ${program.name}
_${program.name}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
      ${pathsOf(commands)}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $prev" in
${values.join('\n')}
    *)
      case "$at" in
${words.map((line) => `    ${line}`).join('\n')}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _${program.name} ${program.name}
`;
}

function pathsOf(commands: readonly CompletedCommand[]): string {
  return commands.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join(' | ');
}
