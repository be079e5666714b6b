import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { ensureShop } from '../../../agents/support/shop/ensure-shop.ts';
import { poolOf } from '../../../agents/support/shop/pool.ts';
import { ToolUnreachable, type ToolContext } from '../../../src/authoring/index.ts';
import { startTestServers } from '../../support/servers.ts';

/** Makes an empty database on the tests' server, or a copy of another one, and gives its URL. */
export async function createShopDatabase(options: { readonly copyOf?: string } = {}): Promise<string> {
  const { postgres } = await startTestServers();
  const name = `shop_${randomUUID().replaceAll('-', '')}`;
  const template = options.copyOf === undefined ? '' : ` template ${new URL(options.copyOf).pathname.slice(1)}`;
  await query(postgres.url, `create database ${name}${template}`);
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Makes a database with the shop to make copies of. Nothing stays connected to it: a template must be idle. */
export async function createShopTemplate(): Promise<string> {
  const url = await createShopDatabase();
  await ensureShop(url);
  await poolOf(url).end();
  return url;
}

/** Removes a database and the process's connections to it. */
export async function dropShopDatabase(url: string): Promise<void> {
  const pool = poolOf(url);
  if (!pool.ended) await pool.end();
  const { postgres } = await startTestServers();
  await query(postgres.url, `drop database ${new URL(url).pathname.slice(1)} with (force)`);
}

/** Runs one query on a connection of its own, so that no pool keeps the database busy. */
export async function query<Row = { readonly [column: string]: unknown }>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, [...values])).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Makes what a tool gets on a worker whose secret is this URL. */
export function contextOf(url: string, overrides: Partial<ToolContext> = {}): ToolContext {
  return {
    signal: new AbortController().signal,
    idempotencyKey: randomUUID(),
    attempt: 1,
    tenant: 'default',
    agentRunId: 'support-test',
    secret: (name) => {
      if (name !== 'DATABASE_URL') throw new ToolUnreachable(`no secret ${name}`);
      return url;
    },
    ...overrides,
  };
}
