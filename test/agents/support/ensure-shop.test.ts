/**
 * Goal: the shop appears once, fast and the same everywhere, whoever asks first.
 * Method: several processes set it up at once in an empty database; the rows are counted and compared.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { generateShop } from '../../../agents/support/shop/generate-shop.ts';
import { createShopDatabase, dropShopDatabase, query } from './shop-database.ts';

const ENSURE_SHOP = new URL('../../../agents/support/shop/ensure-shop.ts', import.meta.url).href;

describe('ensureShop', () => {
  it('creates one data set when five processes ask at once, and none is left hanging', async () => {
    const url = await createShopDatabase();
    const script = `
      const { ensureShop } = await import(${JSON.stringify(ENSURE_SHOP)});
      const started = performance.now();
      await Promise.all([ensureShop(process.env.SHOP_URL), ensureShop(process.env.SHOP_URL)]);
      console.log(Math.round(performance.now() - started));`;
    const durations = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const options = { env: { ...process.env, SHOP_URL: url }, timeout: 30_000 };
        const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], options);
        return Number(stdout);
      }),
    );
    assert.ok(Math.max(...durations) < 5_000, `took ${Math.max(...durations)} ms`);
    const [counts] = await query(
      url,
      `select (select count(*)::integer from shop.customers) as customers,
              (select count(*)::integer from shop.products) as products,
              (select count(*)::integer from shop.orders) as orders,
              (select count(*)::integer from shop.order_lines) as order_lines,
              (select count(*)::integer from shop.refunds) as refunds,
              (select count(*)::integer from shop.data_set) as data_sets`,
    );
    const rows = Object.entries(generateShop()).map(([table, list]) => [table, list.length] as const);
    assert.deepEqual(counts, { ...Object.fromEntries(rows), data_sets: 1 });
    await dropShopDatabase(url);
  });
});

describe('generateShop', () => {
  const shop = generateShop();

  it('generates the same rows every time, in the size it promises', () => {
    assert.deepEqual(generateShop(), shop);
    assert.deepEqual([shop.customers.length, shop.products.length, shop.orders.length], [2_000, 300, 8_000]);
    assert.ok(shop.refunds.length > 100);
  });

  it('charges what the lines come to and refunds no more', () => {
    const paid = new Map(shop.orders.map((order) => [order.id, order.paid_cents]));
    const sums = Map.groupBy(shop.order_lines, (line) => line.order_id);
    for (const [id, lines] of sums) {
      assert.equal(
        lines.reduce((sum, line) => sum + line.quantity * line.unit_cents, 0),
        paid.get(id),
      );
    }
    assert.equal(sums.size, shop.orders.length);
    for (const refund of shop.refunds) assert.ok(refund.amount_cents <= (paid.get(refund.order_id) ?? 0));
  });
});
