import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { SHOP_SECRET } from '../shop/in-shop.ts';
import { centsFromUsd } from '../shop/money.ts';
import { onceByKey } from '../shop/once-by-key.ts';
import { orderIdSchema, usdSchema } from '../shop/orders.ts';
import { refund } from '../shop/refunds.ts';

/** Ten seconds: it may wait behind another write on the same order. */
const TIMEOUT_MS = 10_000;
/** Above the dearest order of the shop; it stops an amount typed in cents. */
const AMOUNT_USD_MAX = 10_000;

/** Pays a part or all of an order back. */
export const refundOrder = defineTool({
  name: 'refundOrder',
  version: '1.0.0',
  description:
    'Refunds a part or all of an order that is delivered or cancelled, at most what was paid and not yet refunded (`refundableUsd` of lookupOrder). Amounts above 100 USD wait for a person: call it once with the whole amount, never in parts.',
  owner: 'shop-payments',
  input: z.strictObject({
    orderId: orderIdSchema,
    amountUsd: z.number().min(0.01).max(AMOUNT_USD_MAX).multipleOf(0.01).describe('USD with at most two decimals.'),
    reason: z.string().trim().min(3).max(200).describe('Why, in a few words of the customer.'),
  }),
  output: z.strictObject({
    refundId: z.string(),
    orderId: z.string(),
    amountUsd: usdSchema,
    refundedUsd: usdSchema.describe('Refunded for this order in all.'),
    refundableUsd: usdSchema.describe('What can still be refunded.'),
  }),
  effect: 'write',
  timeoutMs: TIMEOUT_MS,
  idempotencyKey: { destination: true },
  secrets: [SHOP_SECRET],
  run: (request, context) =>
    onceByKey(context, {
      operation: 'refundOrder',
      request,
      timeoutMs: TIMEOUT_MS,
      work: (client) =>
        refund(client, {
          orderId: request.orderId,
          amountCents: centsFromUsd(request.amountUsd),
          reason: request.reason,
          idempotencyKey: context.idempotencyKey,
          agentRunId: context.agentRunId,
        }),
    }),
});
