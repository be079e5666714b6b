/**
 * Shows what happens when a process dies in the middle of a refund: the worker is killed after the shop has refunded and before anybody
 * wrote that down; a second worker takes the run over. Prints what `perdure run show` says, and what the shop's own tables say.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { connect } from '../src/client/index.ts';
import { bringUp } from '../src/cli/dev-stack/bring-up.ts';
import { registerSearchAttributes } from '../src/cli/dev-stack/register-search-attributes.ts';
import { formatRun } from '../src/cli/format/run.ts';
import { connectToTemporal } from '../src/runtime/connection.ts';
import { openDatabase } from '../src/stores/database.ts';
import { migrate } from '../src/stores/migrate.ts';
import { openRunReader } from '../src/stores/run-reader.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const dataDir = mkdtempSync(join(tmpdir(), 'perdure-demonstration-'));
const stack = await bringUp({ dataDir, env: process.env, report: () => undefined, forTests: true });
const { address, namespace } = stack.temporal;
try {
  await prepare();
  await demonstrate();
} finally {
  await stack.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
process.exit();

async function prepare(): Promise<void> {
  const connection = await connectToTemporal({ address });
  await registerSearchAttributes(connection, namespace);
  await connection.close();
  const db = openDatabase(stack.postgres.url, () => undefined);
  await migrate(db);
  await db.destroy();
}

async function demonstrate(): Promise<void> {
  const client = await connect({ address, namespace });
  const first = await startWorker(1, { PERDURE_FAILPOINTS: 'effect:replied=kill' });
  const input =
    'Hello, this is Maria Silva (maria.silva@example.com). The teapot of my order A-1012 arrived broken. Please refund it.';
  const run = await client.start({ agent: 'support', input });
  say(`run ${run.id}: ${input}`);
  await once(first, 'exit');
  const killedAt = Date.now();
  say('worker 1 killed with SIGKILL: the shop has refunded, and nobody has written that down');
  const second = await startWorker(2, {});
  const end = await run.result();
  say(`${end.outcome.kind} ${((Date.now() - killedAt) / 1000).toFixed(1)} s after the kill\n`);
  await show(run.id);
  second.kill('SIGTERM');
  await once(second, 'exit');
}

async function startWorker(number: number, env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const worker = spawn(process.execPath, ['src/workers/main.ts'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: stack.postgres.url,
      ...env,
    },
  });
  const startedAt = Date.now();
  await once(worker.stderr ?? worker, 'data');
  say(`worker ${number} (pid ${worker.pid}) ready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  return worker;
}

async function show(agentRunId: string): Promise<void> {
  const tenant = 'default';
  const reader = openRunReader(stack.postgres.url);
  const run = await reader.run(tenant, agentRunId);
  if (run === null) throw new Error(`run ${agentRunId} has no row`);
  const view = {
    run,
    timeline: await reader.timeline(tenant, agentRunId),
    answer: await reader.answer(tenant, agentRunId),
    approvals: [],
    effects: await reader.effects(tenant, { agentRunId }),
    deferred: [],
    rejected: null,
    question: null,
    webUi: null,
  };
  say(formatRun(view));
  await reader.close();
  const db = openDatabase(stack.postgres.url, () => undefined);
  const refunds = await sql<{ count: string }>`select count(*) from shop.refunds where order_id = 'A-1012'`.execute(db);
  say(`\nrefunds of A-1012 in the shop's own table: ${refunds.rows[0]?.count}`);
  await db.destroy();
}
