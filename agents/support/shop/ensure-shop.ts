import type { PoolClient } from 'pg';
import { generateShop } from './generate-shop.ts';
import { poolOf } from './pool.ts';
import { SHOP_SCHEMA } from './schema.ts';

/** Names the advisory lock of the set-up; the number only has to differ from the other locks of the database. */
const SETUP_LOCK = 7_460_311;
/** Of the generated data: a later version would be another schema. */
const DATA_SET_VERSION = 1;

const ready = new Map<string, Promise<void>>();

/**
 * Creates the shop's schema and its data where they are missing, once for a database however many processes ask.
 * A failed attempt is forgotten, so that the next call tries again.
 */
export function ensureShop(url: string): Promise<void> {
  const known = ready.get(url);
  if (known !== undefined) return known;
  const attempt = setUp(url);
  ready.set(url, attempt);
  attempt.catch(() => ready.delete(url));
  return attempt;
}

async function setUp(url: string): Promise<void> {
  const client = await poolOf(url).connect();
  try {
    if (!(await hasShop(client))) {
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock($1)', [SETUP_LOCK]);
      // Another process may have built it while this one waited for the lock.
      if (!(await hasShop(client))) await createShop(client);
      await client.query('commit');
    }
    client.release();
  } catch (error) {
    // Closing the connection rolls back whatever was begun.
    client.release(true);
    throw error;
  }
}

/**
 * Tells whether the shop is there. Schema and data appear in one commit, so the table of data sets stands for both.
 * A query of the catalogue, not `to_regclass`: that one answers from a cache which waiting for a lock does not refresh.
 */
async function hasShop(client: PoolClient): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_catalog.pg_tables where schemaname = 'shop' and tablename = 'data_set'`,
  );
  return rowCount === 1;
}

async function createShop(client: PoolClient): Promise<void> {
  await client.query(SHOP_SCHEMA);
  for (const [table, rows] of Object.entries(generateShop())) {
    await client.query(
      `insert into shop.${table} select * from jsonb_populate_recordset(null::shop.${table}, $1::jsonb)`,
      [JSON.stringify(rows)],
    );
  }
  await client.query('insert into shop.data_set (version) values ($1)', [DATA_SET_VERSION]);
  await client.query('analyze shop.customers, shop.products, shop.orders, shop.order_lines, shop.refunds');
}
