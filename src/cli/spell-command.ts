/** Scripts of package.json that a person may have started the command line with. */
const OWN_SCRIPTS: readonly (string | undefined)[] = ['perdure', 'start'];

/**
 * Spells a command so that the person can type it: as they started this one, through npm's script, npx, or by its own name. npm names the
 * script that it runs in the environment.
 *
 * @param words What follows the name of the program.
 */
export function spellCommand(words: string, env: NodeJS.ProcessEnv = process.env): string {
  if (env['npm_command'] === 'exec') return `npx perdure ${words}`;
  const isScript = OWN_SCRIPTS.includes(env['npm_lifecycle_event']);
  return `${isScript ? 'npm run perdure --' : 'perdure'} ${words}`;
}

/** Nouns and verbs that follow the name of the program. */
const WORDS =
  'agent|approve|budget|chat|completion|dev|doctor|effect|limits|models|replay|run|schedule|tool|\\[options\\]';

const COMMANDS = new RegExp(`(?<!npx )\\bperdure (?=(?:${WORDS})(?![\\w-]))`, 'g');

/**
 * Spells the commands in a text whose writer cannot know how people start the command line here: a worker's, the client library's, the help's.
 * Spelling twice is spelling once.
 */
export function respell(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return text.replaceAll(COMMANDS, spellCommand('', env));
}
