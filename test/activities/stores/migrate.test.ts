// Goal: any number of processes may bring an empty database to the schema at once, and partitions are there before they are needed.
// Method: five processes against one empty database of the real PostgreSQL.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import type { Db } from '../../../src/stores/database.ts';
import { migrate } from '../../../src/stores/migrate.ts';
import { ensurePartitions } from '../../../src/stores/partitions.ts';
import { makeDatabase, openBare } from './support.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const MIGRATE = join(import.meta.dirname, 'migrate-process.ts');

describe('migrations', () => {
  let db: Db;
  let url: string;
  before(async () => {
    url = await makeDatabase();
    db = openBare(url);
  });
  after(async () => db.destroy());

  it('run once when five processes start at the same moment', async () => {
    await Promise.all(Array.from({ length: 5 }, async () => promisify(execFile)(process.execPath, [MIGRATE, url])));
    const done = await sql<{ name: string }>`select name from perdure.kysely_migration`.execute(db);
    assert.deepEqual(
      done.rows.map(({ name }) => name),
      [
        '0001-run',
        '0002-retry',
        '0003-deferred',
        '0004-compaction',
        '0005-conversation',
        '0009-open-rows',
        '0010-message-files',
        '0011-budgets',
        '0012-rate-limits',
        '0013-model-routing',
        '0014-streams',
        '0015-usage-details',
        '0016-budget-ready',
        '0020-runs-by-end',
      ],
    );
    await migrate(db);
  });

  it('make the partitions of two months ahead, and a row of today or then finds its own', async () => {
    await ensurePartitions(db);
    const observe = async (openedAt: Date) => {
      await sql`insert into perdure.observations (id, tenant, run_id, turn, kind, name, release, attempt, worker, opened_at)
        values ('o', 't', 'r', 1, 'model', 'm', 'x', 1, 'w', ${openedAt})`.execute(db);
    };
    for (const days of [-1, 0, 30, 60]) await observe(new Date(Date.now() + days * DAY_MS));
    await assert.rejects(observe(new Date(Date.now() + 120 * DAY_MS)), /no partition/);
  });

  it('refuse a database of a newer version in words that say what to do', async () => {
    await sql`insert into perdure.kysely_migration (name, timestamp) values ('9999-later', '2100-01-01')`.execute(db);
    await assert.rejects(migrate(db), /made by a newer version of Perdure: upgrade, or use another database/);
  });
});
