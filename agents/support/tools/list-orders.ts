import { z } from 'zod';
import { defineTool, ToolRefusal } from '../../../src/authoring/index.ts';
import { customerIdSchema, hasCustomer } from '../shop/customers.ts';
import { inShop, SHOP_SECRET } from '../shop/in-shop.ts';
import { orderSummarySchema, readOrders } from '../shop/orders.ts';

/** Three seconds: a look-up by an indexed column takes milliseconds, the rest is for a busy server. */
const TIMEOUT_MS = 10_000;
/** Twenty orders are a screenful; a model that needs an older one asks for its id. */
const ORDERS_MAX = 20;

/** Lists the latest orders of a customer. */
export const listOrders = defineTool({
  name: 'listOrders',
  version: '1.0.0',
  description:
    'Lists the latest orders of one customer, newest first, without their items. Use it when the customer is identified but does not know the order id. Refuses an unknown customer id.',
  owner: 'shop-platform',
  input: z.strictObject({ customerId: customerIdSchema, limit: z.int().min(1).max(ORDERS_MAX).default(5) }),
  output: z.strictObject({ orders: z.array(orderSummarySchema) }),
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  secrets: [SHOP_SECRET],
  run: async ({ customerId, limit }, context) => {
    const transaction = { context, access: 'read only', timeoutMs: TIMEOUT_MS } as const;
    return inShop(transaction, async (client) => {
      if (!(await hasCustomer(client, customerId))) throw new ToolRefusal(`There is no customer ${customerId}.`);
      return { orders: await readOrders(client, customerId, limit) };
    });
  },
});
