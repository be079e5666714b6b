/**
 * Goal: the shop's tools keep their promises: one effect for a key, no refund beyond what was paid, refusals that say what is possible.
 * Method: the tools themselves against a real PostgreSQL, with concurrent calls, aborted calls and a dead server.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { cancelOrder } from '../../../agents/support/tools/cancel-order.ts';
import { changeShippingAddress } from '../../../agents/support/tools/change-shipping-address.ts';
import { findCustomer } from '../../../agents/support/tools/find-customer.ts';
import { listOrders } from '../../../agents/support/tools/list-orders.ts';
import { lookupOrder } from '../../../agents/support/tools/lookup-order.ts';
import { refundOrder } from '../../../agents/support/tools/refund-order.ts';
import { searchProducts } from '../../../agents/support/tools/search-products.ts';
import type { Tool } from '../../../src/authoring/index.ts';
import { contextOf, createShopDatabase, createShopTemplate, dropShopDatabase, query } from './shop-database.ts';

type Input = Parameters<Tool['run']>[0];
type Result = { readonly [name: string]: unknown };

describe('tools of the support agent', () => {
  let template: string;
  let url: string;

  before(async () => {
    template = await createShopTemplate();
  });

  beforeEach(async () => {
    url = await createShopDatabase({ copyOf: template });
  });

  afterEach(() => dropShopDatabase(url));

  after(() => dropShopDatabase(template));

  const run = async (tool: Tool, input: Input, key?: string): Promise<Result> =>
    (await tool.run(input, contextOf(url, key === undefined ? {} : { idempotencyKey: key }))) as Result;
  const refund = (orderId: string, amountUsd: number, key?: string): Promise<Result> =>
    run(refundOrder, { orderId, amountUsd, reason: 'arrived damaged' }, key);
  const refundsOf = (orderId: string): Promise<readonly Result[]> =>
    query(url, 'select * from shop.refunds where order_id = $1', [orderId]);

  describe('reads', () => {
    it('looks an order up with its customer, items and amounts', async () => {
      const order = await run(lookupOrder, { orderId: 'a-1012' });
      assert.equal(order['customerEmail'], 'maria.silva@example.com');
      assert.deepEqual(order['items'], [
        { productId: 'P-101', name: 'Hand-Painted Teapot', quantity: 1, unitPriceUsd: '42.50' },
      ]);
      assert.deepEqual(
        [order['status'], order['totalUsd'], order['refundedUsd'], order['refundableUsd'], order['tracking']],
        ['delivered', '42.50', '0.00', '42.50', 'DHL-7100012'],
      );
    });

    it('finds a customer by e-mail and by name, and lists the orders', async () => {
      const byEmail = await run(findCustomer, { email: 'Maria.Silva@example.com' });
      assert.deepEqual(byEmail, await run(findCustomer, { name: 'maria silva' }));
      const { orders } = await run(listOrders, { customerId: 'C-1001' });
      assert.deepEqual(
        (orders as readonly Result[]).map((order) => order['orderId']),
        ['A-1101', 'A-1012'],
      );
      assert.deepEqual(await run(findCustomer, { email: 'nobody@example.com' }), { customers: [] });
    });

    it('searches products by words and takes % and _ as they are', async () => {
      const { products } = await run(searchProducts, { query: 'walnut desk' });
      assert.equal((products as readonly Result[])[0]?.['productId'], 'P-102');
      assert.deepEqual(await run(searchProducts, { query: '%%' }), { products: [] });
    });

    it('refuses an unknown order and an unknown customer', async () => {
      await assert.rejects(run(lookupOrder, { orderId: 'A-99999' }), {
        name: 'ToolRefusal',
        message: /no order A-99999/,
      });
      await assert.rejects(run(listOrders, { customerId: 'C-99999' }), { name: 'ToolRefusal' });
    });

    it('asks for an e-mail or a name', () => {
      assert.equal(findCustomer.parseInput({}).kind, 'invalid');
    });
  });

  describe('refundOrder', () => {
    it('refunds a part and says what is left', async () => {
      const first = await refund('A-1012', 10);
      assert.deepEqual([first['amountUsd'], first['refundedUsd'], first['refundableUsd']], ['10.00', '10.00', '32.50']);
      assert.equal((await run(lookupOrder, { orderId: 'A-1012' }))['refundableUsd'], '32.50');
    });

    it('makes one refund of two concurrent sends with one key', async () => {
      const results = await Promise.all(Array.from({ length: 6 }, () => refund('A-1012', 20, 'key-1')));
      assert.equal(new Set(results.map((result) => JSON.stringify(result))).size, 1);
      assert.equal((await refundsOf('A-1012')).length, 1);
    });

    it('gives a later send the first result, though the order has changed since', async () => {
      const first = await refund('A-1012', 40, 'key-1');
      await refund('A-1012', 2.5);
      assert.deepEqual(await refund('A-1012', 40, 'key-1'), first);
      assert.equal((await refundsOf('A-1012')).length, 2);
    });

    it('gives a later send the first refusal, though it would be possible now', async () => {
      await assert.rejects(refund('A-1077', 10, 'key-1'), { name: 'ToolRefusal', message: /cancelled first/ });
      await run(cancelOrder, { orderId: 'A-1077' });
      await assert.rejects(refund('A-1077', 10, 'key-1'), { name: 'ToolRefusal', message: /cancelled first/ });
      assert.equal((await refund('A-1077', 10))['amountUsd'], '10.00');
    });

    it('refuses a key that was used for another request', async () => {
      await refund('A-1012', 10, 'key-1');
      await assert.rejects(refund('A-1012', 11, 'key-1'), { name: 'ToolRefusal', message: /another request/ });
    });

    it('refuses all but the first of concurrent refunds that go beyond what was paid', async () => {
      const outcomes = await Promise.allSettled([refund('A-1012', 30), refund('A-1012', 30), refund('A-1012', 30)]);
      const refusals = outcomes.filter((outcome) => outcome.status === 'rejected');
      assert.equal(refusals.length, 2);
      assert.match(String(refusals[0]?.reason), /At most 12\.50 USD of order A-1012 can be refunded/);
      assert.equal((await refundsOf('A-1012')).length, 1);
    });

    it('refuses small refunds that add up to more than the approval threshold', async () => {
      await refund('A-1044', 60);
      await assert.rejects(refund('A-1044', 60), { name: 'ToolRefusal', message: /40\.00 USD of that is left/ });
      assert.equal((await refund('A-1044', 150))['refundedUsd'], '210.00');
    });

    for (const [orderId, message] of [
      ['A-1077', /packed: it has to be cancelled first/],
      ['A-1090', /on its way/],
      ['A-99999', /no order A-99999/],
      ['A-1042', /already refunded in full/],
    ] as const) {
      it(`refuses ${orderId}: ${message.source}`, async () => {
        await assert.rejects(refund(orderId, 5), { name: 'ToolRefusal', message });
        assert.equal((await query(url, `select from shop.refunds where agent_run_id is not null`)).length, 0);
      });
    }

    for (const amountUsd of [0, -5, 1.234, 10_001]) {
      it(`takes no amount of ${amountUsd}`, () => {
        assert.equal(refundOrder.parseInput({ orderId: 'A-1012', amountUsd, reason: 'test' }).kind, 'invalid');
      });
    }

    for (const amountUsd of [0.1, 42.5, 19.99, 1.15, 4.35, 8.2]) {
      it(`takes an amount of ${amountUsd}`, () => {
        assert.equal(refundOrder.parseInput({ orderId: 'A-1012', amountUsd, reason: 'test' }).kind, 'ok');
      });
    }
  });

  describe('cancelOrder and changeShippingAddress', () => {
    const address = { street: '55 Pine Street', postalCode: '80202', city: 'Denver', country: 'United States' };

    it('cancels a packed order, returns its items to stock, and says what can be refunded', async () => {
      const before = await stockOf(url, 'P-103');
      const results = await Promise.all([1, 2].map(() => run(cancelOrder, { orderId: 'A-1077' }, 'key-1')));
      const expected = { orderId: 'A-1077', status: 'cancelled', refundableUsd: '89.00' };
      assert.deepEqual(results, [expected, expected]);
      assert.equal(await stockOf(url, 'P-103'), before + 1);
    });

    for (const orderId of ['A-1090', 'A-1012', 'A-1102']) {
      it(`neither cancels nor readdresses ${orderId}`, async () => {
        const refusal = { name: 'ToolRefusal', message: /can no longer be/ };
        await assert.rejects(run(cancelOrder, { orderId }), refusal);
        await assert.rejects(run(changeShippingAddress, { orderId, address }), refusal);
      });
    }

    it('changes an address, and an old send does not undo a newer change', async () => {
      await run(changeShippingAddress, { orderId: 'A-1077', address }, 'key-1');
      const newer = { ...address, street: '7 Larimer Street' };
      await run(changeShippingAddress, { orderId: 'A-1077', address: newer }, 'key-2');
      await run(changeShippingAddress, { orderId: 'A-1077', address }, 'key-1');
      assert.deepEqual((await run(lookupOrder, { orderId: 'A-1077' }))['shippingAddress'], newer);
    });
  });

  describe('when the database does not answer', () => {
    it('is unreachable when the connection is refused', async () => {
      const port = await closedPort();
      const context = contextOf(`postgresql://nobody:secret@127.0.0.1:${port}/shop`);
      await assert.rejects(refundOrder.run({ orderId: 'A-1012', amountUsd: 1, reason: 'test' }, context), {
        name: 'ToolUnreachable',
        message: "The shop's database cannot be reached (ECONNREFUSED).",
      });
    });

    it('passes a missing secret on', async () => {
      const context = contextOf(url, {
        secret: () => {
          throw Object.assign(new Error('no secret'), { name: 'ToolUnreachable' });
        },
      });
      await assert.rejects(lookupOrder.run({ orderId: 'A-1012' }, context), { name: 'ToolUnreachable' });
    });

    it('is unreachable when the server closed an idle connection, and connects again', async () => {
      await run(lookupOrder, { orderId: 'A-1012' });
      await query(
        url,
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      await run(lookupOrder, { orderId: 'A-1012' }).catch((error: unknown) => {
        assert.equal((error as Error).name, 'ToolUnreachable');
      });
      assert.equal((await run(lookupOrder, { orderId: 'A-1012' }))['orderId'], 'A-1012');
    });

    it('stops at the signal, leaves nothing behind, and frees the order', async () => {
      await run(lookupOrder, { orderId: 'A-1012' });
      const abort = new AbortController();
      const context = contextOf(url, { signal: abort.signal, idempotencyKey: 'key-1' });
      const release = await lockOrderElsewhere(url, 'A-1012');
      const stopped = refundOrder.run({ orderId: 'A-1012', amountUsd: 5, reason: 'arrived damaged' }, context);
      setTimeout(() => abort.abort(new Error('past the send deadline')), 100);
      await assert.rejects(stopped, /past the send deadline/);
      await release();
      await sleep(50);
      assert.equal((await refundsOf('A-1012')).length, 0);
      assert.equal((await refund('A-1012', 5, 'key-1'))['amountUsd'], '5.00');
    });

    it('does not start when the signal has fired', async () => {
      await assert.rejects(
        refundOrder.run(
          { orderId: 'A-1012', amountUsd: 5, reason: 'test' },
          contextOf(url, { signal: AbortSignal.abort() }),
        ),
        { name: 'AbortError' },
      );
    });
  });
});

async function stockOf(url: string, productId: string): Promise<number> {
  const rows = await query<{ stock: number }>(url, 'select stock from shop.products where id = $1', [productId]);
  return rows[0]?.stock ?? 0;
}

async function lockOrderElsewhere(url: string, orderId: string): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('begin');
  await client.query('select from shop.orders where id = $1 for update', [orderId]);
  return async () => {
    await client.query('rollback');
    await client.end();
  };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
