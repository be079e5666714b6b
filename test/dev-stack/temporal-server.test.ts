// Goal: the development server keeps its data, names the cause when it cannot start, and leaves nothing behind.
// Method: the real binary on temporary files and free ports, and the real client.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { commandLineOf, isProcessAlive } from '../../src/cli/dev-stack/process-identity.ts';
import {
  listSearchAttributes,
  registerSearchAttributes,
  requiredSearchAttributes,
  typeNumber,
} from '../../src/cli/dev-stack/register-search-attributes.ts';
import { ensureNamespace } from '../../src/cli/dev-stack/ensure-namespace.ts';
import { startTemporalServer, type TemporalServer } from '../../src/cli/dev-stack/start-temporal-server.ts';
import { endWithTests, startTestServers, testFolder, testTemporalBinary } from '../support/servers.ts';

describe('startTemporalServer', () => {
  let folder = '';
  let binary = '';

  before(async () => {
    folder = await testFolder();
    binary = await testTemporalBinary();
  });

  const start = async (name: string): Promise<TemporalServer> =>
    startTemporalServer({
      binary,
      dataFile: join(folder, `${name}.db`),
      port: await freePort(0),
      uiPort: await freePort(0),
      namespace: 'perdure',
      log: join(folder, `${name}.log`),
      onSpawn: (server) => endWithTests(folder, server),
    });

  it('keeps search attributes and namespaces over a restart on the same file', async () => {
    const first = await start('kept');
    const connection = connectLocally(first.address);
    await registerSearchAttributes(connection, 'perdure');
    await ensureNamespace(connection, 'another');
    await connection.close();
    await first.stop();
    assert.equal(isProcessAlive(first), false);
    assert.equal(statSync(join(folder, 'kept.db')).mode & 0o777, 0o600);

    const second = await start('kept');
    const again = connectLocally(second.address);
    assert.deepEqual(await listSearchAttributes(again, 'perdure'), requiredSearchAttributes());
    assert.equal(await ensureNamespace(again, 'another'), false);
    await again.close();
    await second.stop();
  });

  it('keeps its data when it is killed', async () => {
    const first = await start('killed');
    const connection = connectLocally(first.address);
    await registerSearchAttributes(connection, 'perdure');
    await connection.close();
    process.kill(first.pid, 'SIGKILL');
    while (isProcessAlive(first)) await new Promise((resolve) => setTimeout(resolve, 10));

    const second = await start('killed');
    const again = connectLocally(second.address);
    assert.deepEqual(await registerSearchAttributes(again, 'perdure'), []);
    await again.close();
    await second.stop();
  });

  it('serves the Web UI', async () => {
    const server = await start('ui');
    const page = await fetch(server.uiUrl ?? '');
    assert.equal(page.status, 200);
    await server.stop();
  });

  it('runs in a process group of its own, so that Ctrl-C does not reach it', async () => {
    const server = await start('group');
    // Signal 0 to a group asks whether the group exists: its id is the pid of its leader.
    assert.doesNotThrow(() => process.kill(-server.pid, 0));
    await server.stop();
  });

  it('passes every dynamic value of temporal-config and nothing that configures clients', async () => {
    const server = await start('values');
    const commandLine = commandLineOf(server.pid);
    const values = JSON.parse(readFileSync('temporal-config/dynamic-config.json', 'utf8')) as Record<string, unknown>;
    for (const [key, value] of Object.entries(values)) {
      assert.ok(commandLine.includes(`${key}=${JSON.stringify(value)}`), key);
    }
    assert.ok(commandLine.includes('journal_mode=wal'));
    await server.stop();
  });

  it('says what its log ends with when it cannot start', async () => {
    writeFileSync(join(folder, 'broken.db'), 'this is not a database, and longer than a header of SQLite would be');
    await assert.rejects(start('broken'), /Temporal server at 127\.0\.0\.1:\d+ ended\..*\n.*not a database/s);
  });
});

describe('registerSearchAttributes', () => {
  it('adds every attribute once', async () => {
    const { temporal } = await startTestServers();
    const connection = connectLocally(temporal.address);
    await ensureNamespace(connection, 'register-twice');
    const names = Object.keys(requiredSearchAttributes());
    assert.deepEqual(await registerSearchAttributes(connection, 'register-twice'), names);
    assert.deepEqual(await registerSearchAttributes(connection, 'register-twice'), []);
    await connection.close();
  });

  it('names the attribute, what it is and what it must be when the type differs', async () => {
    const { temporal } = await startTestServers();
    const connection = connectLocally(temporal.address);
    await ensureNamespace(connection, 'wrong-type');
    const searchAttributes = { PerdureCostUsd: typeNumber('Int') };
    await connection.operatorService.addSearchAttributes({ namespace: 'wrong-type', searchAttributes });
    await assert.rejects(
      registerSearchAttributes(connection, 'wrong-type'),
      /namespace wrong-type have another type: PerdureCostUsd is Int, expected Double/,
    );
    await connection.close();
  });
});

describe('ensureNamespace', () => {
  it('creates a namespace with a retention of seven days, once', async () => {
    const { temporal } = await startTestServers();
    const connection = connectLocally(temporal.address);
    assert.equal(await ensureNamespace(connection, 'new-namespace'), true);
    assert.equal(await ensureNamespace(connection, 'new-namespace'), false);
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'new-namespace' });
    assert.equal(Number(config?.workflowExecutionRetentionTtl?.seconds), 7 * 24 * 60 * 60);
    await connection.close();
  });
});
