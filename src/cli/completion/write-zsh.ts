import { type CompletedCommand, type CompletedOption, flatten } from './command-tree.ts';

/** Writes the completion for zsh. It can be sourced, or saved as `_perdure` in a folder of `fpath`. */
export function writeZsh(program: CompletedCommand): string {
  const commands = flatten(program);
  const paths = commands.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join(' | ');
  const values = commands.flatMap(({ path, options }) => options.flatMap((option) => valuesOf(path, option)));
  return `#compdef ${program.name}
_${program.name}() {
  local at='' word i
  for ((i = 2; i < CURRENT; i++)); do
    word="\${at:+$at }\${words[i]}"
    case "$word" in
      ${paths}) at="$word" ;;
    esac
  done
  local -a found
  case "$at \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case "$at" in
${commands.map(wordsOf).join('\n')}
  esac
  _describe '${program.name}' found
}
if [ "$funcstack[1]" = "_${program.name}" ]; then
  _${program.name} "$@"
else
  compdef _${program.name} ${program.name}
fi
`;
}

function valuesOf(path: string, { names, takesValue, choices }: CompletedOption): readonly string[] {
  if (!takesValue) return [];
  const action = choices.length === 0 ? '_files' : `compadd -- ${choices.join(' ')}`;
  return names.map((name) => `    ${quote(`${path} ${name}`)}) ${action}; return ;;`);
}

function wordsOf({ path, commands, options, choices }: CompletedCommand): string {
  const described = [
    ...commands.map(({ name, summary }) => describe(name, summary)),
    ...choices.map(quote),
    ...options.flatMap(({ names, summary }) => names.map((name) => describe(name, summary))),
  ];
  return `    ${quote(path)}) found=(${described.join(' ')}) ;;`;
}

/** A colon parts the word from its description, so one in the word would have to be escaped; none has one. */
function describe(word: string, summary: string): string {
  return quote(`${word}:${summary}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
