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

/** Spells the commands in a text that a worker wrote, which cannot know how people start the command line here. */
export function respell(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return text.replaceAll(/\bperdure (?=(?:run|effect|approve|agent|budget) [a-z])/g, spellCommand('', env));
}
