// Goal: a data folder that is read-only or full, and a database of a newer version, give one clear message each and lose no run.
// Method: the real program on a small file system of its own (tmpfs, so root on Linux), made read-only or filled while a run waits for a person.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { capturedCli, type Ended } from '../cli/captured-cli.ts';
import { until } from '../support/crash/until.ts';
import { type DevProcess, startDev, stateOf } from '../support/dev-process.ts';
import { testFolder } from '../support/servers.ts';

type Shown = { readonly phase: string; readonly end: { readonly outcome: { readonly kind: string } } | null };

const SIZE_MB = 400;
const refund = 'I am Jonas Weber, jonas.weber@example.com. Please refund my order A-1044, the desk is broken.';

describe('a data folder in trouble', function () {
  this.timeout(300_000);
  let cwd: string;
  let waiting: string;

  before(async () => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      throw new Error('this test mounts file systems of its own, so it needs root on Linux');
    }
    cwd = await testFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m,mode=755`, 'tmpfs', cwd]);
    const dev = await ready();
    waiting = await startRefund();
    await stop(dev);
  });

  after(() => execFileSync('umount', ['--lazy', cwd]));

  it('is refused in one message when it is read-only, and goes on when it is not', async () => {
    execFileSync('mount', ['-o', 'remount,ro', cwd]);
    const { exitCode, said } = await startDev(cwd).ended;
    execFileSync('mount', ['-o', 'remount,rw', cwd]);
    assert.equal(exitCode, 1);
    assert.match(
      said,
      /^error: the data folder \S+ cannot be written \(EROFS: read-only file system\); make it writable.*$/m,
    );
    assert.equal(said.trimEnd().split('\n').length, 1, said);
    assert.equal(await phaseOfWaiting(), 'waiting');
  });

  it('is refused in one message when it is full', async () => {
    const filler = fill(10);
    const { exitCode, said } = await startDev(cwd).ended;
    rmSync(filler);
    assert.equal(exitCode, 1);
    assert.match(
      said,
      /^error: the disk of the data folder \S+ has \d+ MB free, and the servers need 64 MB to work.*$/m,
    );
    assert.equal(said.trimEnd().split('\n').length, 1, said);
    assert.equal(await phaseOfWaiting(), 'waiting');
  });

  it('loses no run when it fills up under running servers', async () => {
    const dev = await ready();
    const filler = fill(0);
    // Whatever becomes of it now, nobody may be told that it was done when it is lost.
    const during = await startRefund().catch((error: Error) => error);
    rmSync(filler);
    await stop(dev);
    const again = await ready();
    const decided = await cli('approve', 'decide', await approvalOf(waiting), '--approve');
    assert.equal(decided.exitCode, 0, decided.said);
    await until('the run has ended', async () => (await show(waiting)).phase === 'ended');
    assert.equal((await show(waiting)).end?.outcome.kind, 'completed');
    if (typeof during === 'string')
      await until('the other waits', async () => (await show(during)).phase === 'waiting');
    await stop(again);
  });

  it('refuses a database of a newer version in one message, and touches nothing', async () => {
    const dev = await ready();
    const url = stateOf(cwd).postgres?.url ?? '';
    const database = new Client({ connectionString: url });
    await database.connect();
    await database.query(`insert into perdure.kysely_migration values ('9999-later', now()::text)`);
    const second = await startDev(cwd, '--once').ended;
    await database.query(`delete from perdure.kysely_migration where name = '9999-later'`);
    await database.end();
    await stop(dev);
    assert.equal(second.exitCode, 1);
    assert.match(second.said, /made by a newer version of Perdure: upgrade, or use another database/);
    assert.equal((await startDev(cwd, '--once').ended).exitCode, 0);
  });

  async function ready(): Promise<DevProcess> {
    const dev = startDev(cwd);
    await until('it is ready', () => {
      assert.ok(dev.isAlive(), dev.said());
      return dev.said().includes('ready; press Ctrl-C');
    });
    return dev;
  }

  /** Fills the file system until so many megabytes are left. */
  function fill(leftMb: number): string {
    const file = join(cwd, 'filler');
    const { bavail, bsize } = statfsSync(cwd);
    writeFileSync(file, Buffer.alloc(bavail * bsize - leftMb * 1024 * 1024));
    return file;
  }

  async function cli(...parameters: readonly string[]): Promise<Ended> {
    return capturedCli({ PERDURE_AGENTS_DIR: join(process.cwd(), 'agents') }, { cwd })(...parameters);
  }

  /** Starts a run that comes to wait for an approval. */
  async function startRefund(): Promise<string> {
    const started = await cli('run', 'start', 'support', refund, '--json');
    assert.equal(started.exitCode, 0, started.said);
    const { id } = JSON.parse(started.out) as { id: string };
    await until('it waits', async () => (await show(id)).phase === 'waiting');
    return id;
  }

  /** A run that no worker has admitted yet has no row, and no phase. */
  async function show(id: string): Promise<Partial<Shown>> {
    const { out } = await cli('run', 'show', id, '--json');
    return (JSON.parse(out) as { run?: Shown }).run ?? {};
  }

  async function approvalOf(runId: string): Promise<string> {
    const { out } = await cli('approve', 'ls', '--json');
    const approvals = JSON.parse(out) as readonly { id: string; runId: string }[];
    return approvals.find((each) => each.runId === runId)?.id ?? '';
  }

  async function phaseOfWaiting(): Promise<string | undefined> {
    const dev = await ready();
    const { phase } = await show(waiting);
    await stop(dev);
    return phase;
  }
});

async function stop(dev: DevProcess): Promise<void> {
  dev.interrupt();
  await dev.ended;
}
