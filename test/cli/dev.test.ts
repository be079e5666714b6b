// Goal: one command brings everything up, runs the reference agent and leaves nothing behind; a second one shares the servers.
// Method: the real program in folders of its own, as processes.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isProcessAlive } from '../../src/cli/dev-stack/process-identity.ts';
import { startDev, stateOf } from '../support/dev-process.ts';
import { ask, scrape } from '../support/observe/scrape.ts';
import { testFolder } from '../support/servers.ts';
import { until } from '../client/platform.ts';

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
    const endpoint = metricsOf(first.said());
    assert.equal((await ask(`${endpoint}/readyz`)).status, 200);
    assert.equal((await scrape(endpoint)).sum('perdure_runs_ended_total', { outcome: 'completed' }), 1);
    const second = await startDev(cwd, '--once').ended;
    assert.equal(second.exitCode, 0, second.said);
    assert.match(second.said, /using the Temporal server that runs at/);
    assert.match(second.out, /already refunded/);
    assert.notEqual(metricsOf(second.said), endpoint);
    assert.deepEqual(servers.map(isProcessAlive), [true, true]);
    first.interrupt();
    assert.equal((await first.ended).exitCode, 0);
    assert.deepEqual(servers.map(isProcessAlive), [false, false]);
  });

  it('says which server has ended and stops, and goes on after the next start', async () => {
    const cwd = await testFolder();
    const first = startDev(cwd);
    await until(async () => /ready; press Ctrl-C/.test(first.said()), 'the first');
    const { temporal } = stateOf(cwd);
    process.kill(temporal?.process.pid ?? 0, 'SIGKILL');
    const { exitCode, said } = await first.ended;
    assert.equal(exitCode, 1, said);
    assert.match(said, /the Temporal server \(a server of this data folder\) has ended; start again/);
    const second = await startDev(cwd, '--once').ended;
    assert.match(second.out, /already refunded/, second.said);
  });

  it('says what is wrong with a data folder that cannot be written', async () => {
    const cwd = await testFolder();
    writeFileSync(join(cwd, '.data'), 'a file where the folder should be');
    const { exitCode, said } = await startDev(cwd, '--once').ended;
    assert.equal(exitCode, 1);
    assert.match(said, /the data folder \S+\.data cannot be written \(EEXIST: file already exists\); make it writable/);
    assert.doesNotMatch(said, /\n\s+at /, 'no stack trace');
  });
});

function metricsOf(said: string): string {
  return /^Metrics {3}(http:\/\/127\.0\.0\.1:\d+)\/metrics$/m.exec(said)?.[1] ?? 'no link';
}
