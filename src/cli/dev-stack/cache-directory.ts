import { homedir } from 'node:os';
import { join } from 'node:path';

/** Names the folder for files that every checkout on this machine shares and that can be made again. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  if (env['PERDURE_CACHE']) return env['PERDURE_CACHE'];
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'perdure');
  const home = env['HOME'] || homedir();
  return process.platform === 'darwin' ? join(home, 'Library', 'Caches', 'perdure') : join(home, '.cache', 'perdure');
}
