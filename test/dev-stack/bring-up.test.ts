// Goal: one data folder has one stack, whoever starts it, and a stack that is stopped leaves no process.
// Method: real servers; other processes are real processes, one of them killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bringUp } from '../../src/cli/dev-stack/bring-up.ts';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { identifyProcess, isProcessAlive, type ProcessIdentity } from '../../src/cli/dev-stack/process-identity.ts';
import type { DevStack } from '../../src/cli/dev-stack/stack.ts';
import { readStackState } from '../../src/cli/dev-stack/stack-state.ts';
import { endWithTests, startTestServers, testFolder } from '../support/servers.ts';

/** A process that brings up the stack of a folder, says what it got and waits. */
const otherProcess = `
  import { bringUp } from ${JSON.stringify(new URL('../../src/cli/dev-stack/bring-up.ts', import.meta.url).href)};
  const stack = await bringUp({ dataDir: process.argv[1], env: process.env, report: () => {}, forTests: true });
  console.log(JSON.stringify({ temporal: stack.temporal, postgres: stack.postgres }));
  process.on('SIGTERM', () => stack.stop().then(() => process.exit(0)));
  setInterval(() => {}, 1000);
`;

describe('bringUp', () => {
  it('starts both servers, gives them to a second one, and stops them once', async () => {
    const dataDir = await testFolder();
    const first = await bringUpIn(dataDir);
    assert.deepEqual([first.temporal.source, first.postgres.source], ['started', 'started']);
    assert.deepEqual([first.temporal.owned, first.postgres.owned], [true, true]);
    assert.equal(statSync(join(dataDir, 'dev-stack.json')).mode & 0o777, 0o600);

    const second = await bringUpIn(dataDir);
    assert.deepEqual([second.temporal.source, second.postgres.source], ['found', 'found']);
    assert.deepEqual([second.temporal.owned, second.postgres.owned], [false, false]);
    assert.equal(second.temporal.address, first.temporal.address);
    assert.equal(second.postgres.url, first.postgres.url);

    const servers = serversOf(dataDir);
    assert.equal(servers.length, 2);
    await second.stop();
    assert.deepEqual(servers.map(isProcessAlive), [true, true]);
    await first.stop();
    await first.stop();
    assert.deepEqual(servers.map(isProcessAlive), [false, false]);
    assert.equal(existsSync(join(dataDir, 'dev-stack.json')), false);
  });

  it('ends up with one stack when two processes start at the same time', async () => {
    const dataDir = await testFolder();
    const [one, other] = await Promise.all([startOther(dataDir), startOther(dataDir)]);
    assert.equal(one.stack.postgres?.url, other.stack.postgres?.url);
    assert.equal(one.stack.temporal?.address, other.stack.temporal?.address);
    assert.notEqual(one.stack.temporal?.owned, other.stack.temporal?.owned);
    const servers = serversOf(dataDir);
    process.kill(one.pid);
    process.kill(other.pid);
    await until(() => !servers.some(isProcessAlive));
  });

  it('takes over the servers of a process that was killed, and then stops them', async () => {
    const dataDir = await testFolder();
    const killed = await startOther(dataDir);
    process.kill(killed.pid, 'SIGKILL');
    // Its servers have an owner as long as it is dying.
    await until(() => identifyProcess(killed.pid) === null);
    const servers = serversOf(dataDir);
    const stack = await bringUpIn(dataDir);
    assert.deepEqual([stack.temporal.source, stack.temporal.owned], ['found', true]);
    assert.deepEqual([stack.postgres.source, stack.postgres.owned], ['found', true]);
    await stack.stop();
    assert.deepEqual(servers.map(isProcessAlive), [false, false]);
  });

  it('replaces a server that died and keeps the other', async () => {
    const dataDir = await testFolder();
    const first = await bringUpIn(dataDir);
    const { temporal } = readStackState(join(dataDir, 'dev-stack.json'));
    assert.ok(temporal);
    process.kill(temporal.process.pid, 'SIGKILL');
    await until(() => !isProcessAlive(temporal.process));
    const second = await bringUpIn(dataDir);
    assert.deepEqual([second.temporal.source, second.postgres.source], ['started', 'found']);
    await second.stop();
    await first.stop();
    assert.equal(existsSync(join(dataDir, 'dev-stack.json')), false);
  });

  it('ignores a state file that is stale or broken', async () => {
    const dataDir = await testFolder();
    writeFileSync(join(dataDir, 'dev-stack.json'), '{ "temporal": ');
    const stack = await bringUpIn(dataDir);
    assert.equal(stack.temporal.source, 'started');
    const state = readFileSync(join(dataDir, 'dev-stack.json'), 'utf8');
    await stack.stop();
    writeFileSync(join(dataDir, 'dev-stack.json'), state);
    const again = await bringUpIn(dataDir);
    assert.deepEqual([again.temporal.source, again.postgres.source], ['started', 'started']);
    await again.stop();
  });

  it('stops what it started when it is aborted on the way', async () => {
    const dataDir = await testFolder();
    const abort = new AbortController();
    const bringingUp = bringUp({
      dataDir,
      env: process.env,
      report: () => undefined,
      forTests: true,
      signal: abort.signal,
    });
    await until(() => serversOf(dataDir).length > 0);
    const servers = serversOf(dataDir);
    abort.abort(new Error('interrupted'));
    await assert.rejects(bringingUp, /interrupted/);
    assert.ok(!servers.some(isProcessAlive));
    assert.equal(existsSync(join(dataDir, 'dev-stack.json')), false);
  });

  it('moves to another port when one is taken, and says so', async () => {
    const dataDir = await testFolder();
    const blockers = await Promise.all([7233, 8233, 5433].map(takePort));
    const lines: string[] = [];
    const env: NodeJS.ProcessEnv = { ...process.env, TEMPORAL_CONFIG_FILE: join(dataDir, 'none.toml') };
    delete env['TEMPORAL_ADDRESS'];
    delete env['DATABASE_URL'];
    const stack = await bringUp({ dataDir, env, report: (line) => lines.push(line) });
    for (const server of serversOf(dataDir)) endWithTests(dataDir, server);
    assert.match(lines.join('\n'), /port 7233 is taken, so Temporal is at port \d+/);
    assert.match(lines.join('\n'), /port 8233 is taken, so Temporal Web UI is at port \d+/);
    assert.match(lines.join('\n'), /port 5433 is taken, so PostgreSQL is at port \d+/);
    assert.notEqual(stack.temporal.address, '127.0.0.1:7233');
    await stack.stop();
    for (const close of blockers) close();
  });

  it('uses the servers that the environment names and stops none of them', async () => {
    const dataDir = await testFolder();
    const { temporal, postgres } = await startTestServers();
    const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address, DATABASE_URL: postgres.url };
    const stack = await bringUp({ dataDir, env, report: () => undefined });
    assert.deepEqual(stack.temporal, {
      address: temporal.address,
      namespace: 'perdure',
      uiUrl: null,
      owned: false,
      source: 'configured',
    });
    assert.deepEqual(stack.postgres, { url: postgres.url, owned: false, source: 'configured' });
    await stack.stop();
    assert.equal((await bringUp({ dataDir, env, report: () => undefined })).postgres.owned, false);
  });

  it('uses the address of a temporal.toml profile', async () => {
    const dataDir = await testFolder();
    const { temporal, postgres } = await startTestServers();
    const file = join(dataDir, 'temporal.toml');
    writeFileSync(file, `[profile.default]\naddress = "${temporal.address}"\nnamespace = "from-profile"\n`);
    const env = { PATH: process.env['PATH'], TEMPORAL_CONFIG_FILE: file, DATABASE_URL: postgres.url };
    const stack = await bringUp({ dataDir, env, report: () => undefined });
    assert.deepEqual([stack.temporal.address, stack.temporal.namespace], [temporal.address, 'from-profile']);
  });

  it('names the server that is configured and does not answer', async () => {
    const dataDir = await testFolder();
    const nobody = `127.0.0.1:${await freePort(0)}`;
    await assert.rejects(
      bringUp({ dataDir, env: { ...process.env, TEMPORAL_ADDRESS: nobody }, report: () => undefined }),
      new RegExp(`The configured Temporal server ${nobody} cannot be used`),
    );
    const { temporal } = await startTestServers();
    const env = {
      ...process.env,
      TEMPORAL_ADDRESS: temporal.address,
      DATABASE_URL: `postgresql://nobody:secret@${nobody}/none`,
    };
    await assert.rejects(bringUp({ dataDir, env, report: () => undefined }), (error: Error) => {
      assert.match(error.message, /The database of DATABASE_URL does not answer: .*ECONNREFUSED/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });
});

/** Takes a port, unless somebody else has it already; either way it is taken afterwards. */
async function takePort(port: number): Promise<() => void> {
  const server = createServer().listen(port, '127.0.0.1');
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => undefined);
  return () => server.close();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function serversOf(dataDir: string): ProcessIdentity[] {
  const { temporal, postgres } = readStackState(join(dataDir, 'dev-stack.json'));
  return [temporal, postgres].flatMap((server) => (server === undefined ? [] : [server.process]));
}

async function bringUpIn(dataDir: string): Promise<DevStack> {
  const stack = await bringUp({ dataDir, env: process.env, report: () => undefined, forTests: true });
  for (const server of serversOf(dataDir)) endWithTests(dataDir, server);
  return stack;
}

async function startOther(dataDir: string): Promise<{ readonly pid: number; readonly stack: Partial<DevStack> }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', otherProcess, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const other = identifyProcess(child.pid ?? 0);
  assert.ok(other);
  endWithTests(dataDir, other);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  for (const server of serversOf(dataDir)) endWithTests(dataDir, server);
  return { pid: child.pid ?? 0, stack: JSON.parse(line) as Partial<DevStack> };
}
