// Goal: the embedded PostgreSQL keeps its data through stops and kills, and refuses unusable folders in one sentence.
// Method: the real server in temporary folders, killed and restarted.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { holdsDatabase } from '../../src/cli/dev-stack/postgres-folder.ts';
import { isProcessAlive } from '../../src/cli/dev-stack/process-identity.ts';
import { startPostgres, type PostgresServer } from '../../src/cli/dev-stack/start-postgres.ts';
import { endWithTests, testFolder } from '../support/servers.ts';

describe('startPostgres', () => {
  let folder = '';

  before(async () => {
    folder = await testFolder();
  });

  const start = async (name: string, lines: string[] = []): Promise<PostgresServer> =>
    startPostgres({
      dataDir: join(folder, name),
      port: await freePort(0),
      report: (line) => lines.push(line),
      onSpawn: (server) => endWithTests(folder, server),
    });

  it('makes the database perdure with room for 200 connections and a password for the owner only', async () => {
    const server = await start('new');
    assert.deepEqual(await query(server.url, 'select current_database() as name'), [{ name: 'perdure' }]);
    assert.deepEqual(await query(server.url, 'show max_connections'), [{ max_connections: '200' }]);
    assert.equal(statSync(join(folder, 'new-password')).mode & 0o777, 0o600);
    const withoutPassword = server.url.replace(/:[^:@]+@/, ':wrong@');
    await assert.rejects(query(withoutPassword, 'select 1'), /password authentication failed/);
    await server.stop();
    assert.equal(isProcessAlive(server), false);
  });

  it('keeps its data over a stop, and over a kill that leaves postmaster.pid', async () => {
    const first = await start('kept');
    await query(first.url, 'create table kept (value int); insert into kept values (1)');
    await first.stop();

    const second = await start('kept');
    assert.deepEqual(await query(second.url, 'select value from kept'), [{ value: 1 }]);
    await query(second.url, 'insert into kept values (2)');
    process.kill(second.pid, 'SIGKILL');
    while (isProcessAlive(second)) await new Promise((resolve) => setTimeout(resolve, 10));

    const third = await start('kept');
    assert.deepEqual(await query(third.url, 'select count(*)::int as rows from kept'), [{ rows: 2 }]);
    await third.stop();
  });

  it('starts when postmaster.pid names a living process that is no PostgreSQL', async () => {
    const first = await start('reused-pid');
    const path = join(folder, 'reused-pid', 'postmaster.pid');
    const lines = readFileSync(path, 'utf8').split('\n');
    await first.stop();
    writeFileSync(path, [String(process.pid), ...lines.slice(1)].join('\n'));
    const second = await start('reused-pid');
    await second.stop();
  });

  it('takes over a server that still runs on the folder', async () => {
    const left = await start('left');
    const found = await start('left');
    assert.equal(found.pid, left.pid);
    assert.equal(found.url, left.url);
    await found.stop();
    assert.equal(isProcessAlive(left), false);
  });

  it('finishes what a killed initialisation left', async () => {
    mkdirSync(join(folder, 'half.new-1', 'data'), { recursive: true });
    const server = await start('half');
    await server.stop();
    assert.throws(() => statSync(join(folder, 'half.new-1')), /ENOENT/);
  });

  it('refuses the folder of another major version', async () => {
    mkdirSync(join(folder, 'older'));
    writeFileSync(join(folder, 'older', 'PG_VERSION'), '17\n');
    await assert.rejects(start('older'), /older holds a database of PostgreSQL 17; this Perdure has PostgreSQL 18/);
    await assert.rejects(holdsDatabase(join(folder, 'older'), '18.4.0'), /set DATABASE_URL/);
  });

  it('refuses a folder that cannot be written', async () => {
    // A file where a folder must be cannot be written by anyone, root included.
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(start('file/postgres'), /file cannot be written \((?:EEXIST|ENOTDIR): [a-z ]+\)/);
  });

  it('says how to go on when the password is lost', async () => {
    const server = await start('lost');
    await server.stop();
    rmSync(join(folder, 'lost-password'));
    await assert.rejects(start('lost'), /lost-password, the password of the database .* cannot be read\. Restore it/);
  });

  it('moves to the system state folder when its account cannot reach the wanted one', async function () {
    // Only root changes its account, so only root can be locked out of its own folder.
    if (process.getuid?.() !== 0) return;
    mkdirSync(join(folder, 'closed'), { mode: 0o700 });
    const lines: string[] = [];
    const server = await start('closed/postgres', lines);
    const instead = /so its data is in (\S+)/.exec(lines.join('\n'))?.[1] ?? '';
    assert.deepEqual(await query(server.url, 'select 1 as one'), [{ one: 1 }]);
    await server.stop();
    assert.equal(readFileSync(join(instead, 'PG_VERSION'), 'utf8').trim(), '18');
    rmSync(dirname(instead), { recursive: true });
  });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
