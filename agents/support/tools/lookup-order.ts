import { z } from 'zod';
import { defineTool, ToolRefusal } from '../../../src/authoring/index.ts';
import { inShop, SHOP_SECRET } from '../shop/in-shop.ts';
import { orderIdSchema, orderSchema, readOrder } from '../shop/orders.ts';

/** Three seconds: a look-up by primary key takes milliseconds, the rest is for a busy server. */
const TIMEOUT_MS = 10_000;

/** Looks up one order by its id. */
export const lookupOrder = defineTool({
  name: 'lookupOrder',
  version: '1.0.0',
  description:
    'Looks up one order by its id: customer, status, items, what was paid and refunded, what can still be refunded, address, carrier and tracking. Use it before you say or change anything about an order. Refuses an unknown id.',
  owner: 'shop-platform',
  input: z.strictObject({ orderId: orderIdSchema }),
  output: orderSchema,
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  secrets: [SHOP_SECRET],
  run: async ({ orderId }, context) => {
    const transaction = { context, access: 'read only', timeoutMs: TIMEOUT_MS } as const;
    const order = await inShop(transaction, (client) => readOrder(client, orderId));
    if (order === null) throw new ToolRefusal(`There is no order ${orderId}. Ask the customer to check the order id.`);
    return order;
  },
});
