import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { changeAddress } from '../shop/change-order.ts';
import { SHOP_SECRET } from '../shop/in-shop.ts';
import { onceByKey } from '../shop/once-by-key.ts';
import { addressSchema, orderIdSchema } from '../shop/orders.ts';

/** Ten seconds: it may wait behind another write on the same order. */
const TIMEOUT_MS = 10_000;

/** Changes where an order is sent. The key is kept although setting an address twice is harmless: a late send must not undo a newer change. */
export const changeShippingAddress = defineTool({
  name: 'changeShippingAddress',
  version: '1.0.0',
  description:
    'Changes the shipping address of an order that is placed or packed. Give the whole new address. Refuses orders that are shipped, delivered or cancelled.',
  owner: 'shop-platform',
  input: z.strictObject({ orderId: orderIdSchema, address: addressSchema }),
  output: z.strictObject({ orderId: z.string(), shippingAddress: addressSchema }),
  effect: 'idempotent-write',
  timeoutMs: TIMEOUT_MS,
  idempotencyKey: { destination: true },
  secrets: [SHOP_SECRET],
  run: (request, context) =>
    onceByKey(context, {
      operation: 'changeShippingAddress',
      request,
      timeoutMs: TIMEOUT_MS,
      work: (client) => changeAddress(client, request.orderId, request.address),
    }),
});
