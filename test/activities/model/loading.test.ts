// Goal: a process loads the package of a provider when it calls the provider, and no other.
// Method: processes of their own that note what Node loads.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Prints the packages of the SDK that were loaded, when the process ends. */
const NOTE_PACKAGES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  const seen = new Set();
  registerHooks({
    load: (url, context, next) => {
      const name = /node_modules\\/@ai-sdk\\/([^/]+)/.exec(url)?.[1];
      if (name !== undefined) seen.add(name);
      return next(url, context);
    },
  });
  process.on('exit', () => console.error('LOADED ' + [...seen].sort().join(' ')));
`)}`;

async function loadedBy(parameters: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const node = ['--import', NOTE_PACKAGES, 'src/cli/main.ts', ...parameters];
  const options = { cwd: ROOT, env: { PATH: process.env['PATH'] ?? '', ...env } };
  // It ends with 1 where the provider is not there.
  const ended = await promisify(execFile)(process.execPath, node, options).catch(
    (error: unknown) => error as { readonly stderr: string },
  );
  return /^LOADED (.*)$/m.exec(ended.stderr)?.[1] ?? ended.stderr;
}

describe('packages of providers', () => {
  it('are not loaded by a command that calls none', async () => {
    assert.equal(await loadedBy(['--help']), 'provider');
  });

  it('are loaded alone by a call of their provider', async () => {
    const nobody = 'http://127.0.0.1:1023/v1';
    const mistral = { MISTRAL_API_KEY: 'k', MISTRAL_BASE_URL: nobody };
    assert.equal(await loadedBy(['models', 'test'], mistral), 'mistral provider provider-utils');
    const chat = ['models', 'test', '--model', 'openai-compatible:m'];
    const own = { PERDURE_MODEL_BASE_URL: nobody };
    assert.equal(await loadedBy(chat, own), 'openai-compatible provider provider-utils');
  });
});
