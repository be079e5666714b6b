import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { cancel } from '../shop/change-order.ts';
import { SHOP_SECRET } from '../shop/in-shop.ts';
import { onceByKey } from '../shop/once-by-key.ts';
import { orderIdSchema, usdSchema } from '../shop/orders.ts';

/** Ten seconds: it may wait behind another write on the same order. */
const TIMEOUT_MS = 10_000;

/** Cancels an order that has not left the shop. */
export const cancelOrder = defineTool({
  name: 'cancelOrder',
  version: '1.0.0',
  description:
    'Cancels an order that is placed or packed. It does not pay anything back: refundOrder does, afterwards. Refuses orders that are shipped, delivered or already cancelled.',
  owner: 'shop-platform',
  input: z.strictObject({ orderId: orderIdSchema }),
  output: z.strictObject({ orderId: z.string(), status: z.literal('cancelled'), refundableUsd: usdSchema }),
  effect: 'write',
  timeoutMs: TIMEOUT_MS,
  idempotencyKey: { destination: true },
  secrets: [SHOP_SECRET],
  run: (request, context) =>
    onceByKey(context, {
      operation: 'cancelOrder',
      request,
      timeoutMs: TIMEOUT_MS,
      work: (client) => cancel(client, request.orderId),
    }),
});
