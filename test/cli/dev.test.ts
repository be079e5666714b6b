// Goal: one command brings everything up, runs the reference agent and leaves nothing behind; a second one shares the servers.
// Method: the real program in folders of its own, as processes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isProcessAlive } from '../../src/cli/dev-stack/process-identity.ts';
import { readStackState } from '../../src/cli/dev-stack/stack-state.ts';
import { testFolder } from '../support/servers.ts';
import { until } from '../client/platform.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('perdure dev', function () {
  this.timeout(180_000);

  it('runs the agent once, says what it costs, and stops everything', async () => {
    const cwd = await testFolder();
    const dev = startDev(cwd, '--once');
    await until(async () => Object.keys(stateOf(cwd)).length === 2, 'the servers');
    const servers = Object.values(stateOf(cwd)).map((server) => server.process);
    const { exitCode, out, said } = await dev.ended;
    assert.equal(exitCode, 0, said);
    assert.match(said, /model rehearsal:support: a rehearsal that needs no key/);
    assert.match(said, /turn 2 {2}refundOrder@1 A-1012 {2}succeeded/);
    assert.match(out, /I refunded 42\.50 USD for order A-1012/);
    assert.match(out, /completed · 0\.\d+ USD \(simulated\)/);
    assert.match(out, /Web UI {2}http:\/\/127\.0\.0\.1:\d+\/namespaces\/perdure\/workflows\/\w{22}/);
    assert.deepEqual(servers.map(isProcessAlive), [false, false]);
    assert.equal(existsSync(join(cwd, '.data', 'dev-stack.json')), false);
  });

  it('shares the servers of a living one, which stops them in the end', async () => {
    const cwd = await testFolder();
    const first = startDev(cwd);
    await until(async () => /ready; press Ctrl-C/.test(first.said()), 'the first');
    const servers = Object.values(stateOf(cwd)).map((server) => server.process);
    const second = await startDev(cwd, '--once').ended;
    assert.equal(second.exitCode, 0, second.said);
    assert.match(second.said, /using the Temporal server that runs at/);
    assert.match(second.out, /already refunded/);
    assert.deepEqual(servers.map(isProcessAlive), [true, true]);
    first.interrupt();
    assert.equal((await first.ended).exitCode, 0);
    assert.deepEqual(servers.map(isProcessAlive), [false, false]);
  });
});

function startDev(cwd: string, ...parameters: readonly string[]) {
  const { PATH, HOME, XDG_CACHE_HOME, PERDURE_CACHE, PERDURE_TEMPORAL_CLI } = process.env;
  const kept = { PATH, HOME, XDG_CACHE_HOME, PERDURE_CACHE, PERDURE_TEMPORAL_CLI };
  const agents = { PERDURE_AGENTS_DIR: join(process.cwd(), 'agents'), TEMPORAL_CONFIG_FILE: join(cwd, 'none.toml') };
  const child = spawn(process.execPath, [main, 'dev', ...parameters], { cwd, env: { ...kept, ...agents } });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const out = text(child.stdout);
  const ended = once(child, 'close').then(async ([exitCode]) => ({
    exitCode: exitCode as number | null,
    out: await out,
    said,
  }));
  return { ended, said: () => said, interrupt: () => child.kill('SIGINT') };
}

function stateOf(cwd: string) {
  return readStackState(join(cwd, '.data', 'dev-stack.json'));
}
