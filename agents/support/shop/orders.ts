import type { PoolClient } from 'pg';
import { z } from 'zod';
import { usdFromCents } from './money.ts';

/** How an order id looks, as a schema: what the model sends is made upper case. */
export const orderIdSchema = z
  .string()
  .trim()
  .toUpperCase()
  .regex(/^A-\d{4,6}$/, 'an order id looks like A-1012')
  .describe('Order id, for example A-1012.');

/** An amount in tool results: USD as a text with two decimals. */
export const usdSchema = z
  .string()
  .regex(/^\d+\.\d{2}$/)
  .describe('USD with two decimals, for example 42.50.');

export const orderStatusSchema = z.enum(['placed', 'packed', 'shipped', 'delivered', 'cancelled']);

export const addressSchema = z.strictObject({
  street: z.string().trim().min(3).max(120).describe('Street and house number.'),
  postalCode: z.string().trim().min(3).max(12),
  city: z.string().trim().min(2).max(60),
  country: z.string().trim().min(2).max(60),
});

export const orderSummarySchema = z.strictObject({
  orderId: z.string(),
  status: orderStatusSchema,
  placedOn: z.iso.date(),
  totalUsd: usdSchema,
  refundedUsd: usdSchema,
});

export const orderSchema = orderSummarySchema.extend({
  customerId: z.string(),
  customerName: z.string(),
  customerEmail: z.string(),
  items: z.array(
    z.strictObject({ productId: z.string(), name: z.string(), quantity: z.int(), unitPriceUsd: usdSchema }),
  ),
  refundableUsd: usdSchema.describe('What can still be refunded now: 0.00 before delivery or cancellation.'),
  shippingAddress: addressSchema,
  carrier: z.string().nullable(),
  tracking: z.string().nullable(),
  deliveredOn: z.iso.date().nullable(),
});

export type Order = z.infer<typeof orderSchema>;

export type OrderSummary = z.infer<typeof orderSummarySchema>;

/** The state of an order that decides what may be done with it. */
export type OrderState = {
  readonly id: string;
  readonly status: z.infer<typeof orderStatusSchema>;
  readonly paid_cents: number;
  readonly refunded_cents: number;
};

const REFUNDED_CENTS = `(select coalesce(sum(amount_cents), 0)::integer from shop.refunds where order_id = orders.id)`;

/** Tells how many cents of an order can be refunded: what was paid minus what was refunded, once nothing can be sent any more. */
export function refundableCents(order: Omit<OrderState, 'id'>): number {
  const isOver = order.status === 'delivered' || order.status === 'cancelled';
  return isOver ? order.paid_cents - order.refunded_cents : 0;
}

/** Reads an order with its customer and items, or null. */
export async function readOrder(client: PoolClient, orderId: string): Promise<Order | null> {
  const { rows } = await client.query(
    `select orders.id, orders.status, paid_cents, ${REFUNDED_CENTS} as refunded_cents, placed_on::text, delivered_on::text,
            street, postal_code, city, country, carrier, tracking,
            customer_id, customers.name as customer_name, customers.email as customer_email
     from shop.orders join shop.customers on customers.id = customer_id
     where orders.id = $1`,
    [orderId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    ...summaryOf(row),
    customerId: row.customer_id,
    customerName: row.customer_name,
    customerEmail: row.customer_email,
    items: await readItems(client, orderId),
    refundableUsd: usdFromCents(refundableCents(row)),
    shippingAddress: { street: row.street, postalCode: row.postal_code, city: row.city, country: row.country },
    carrier: row.carrier,
    tracking: row.tracking,
    deliveredOn: row.delivered_on,
  };
}

/** Reads the latest orders of a customer. */
export async function readOrders(client: PoolClient, customerId: string, limit: number): Promise<OrderSummary[]> {
  const { rows } = await client.query(
    `select id, status, placed_on::text, paid_cents, ${REFUNDED_CENTS} as refunded_cents
     from shop.orders where customer_id = $1 order by orders.placed_on desc, id desc limit $2`,
    [customerId, limit],
  );
  return rows.map(summaryOf);
}

/**
 * Reads the state of an order and locks it until the transaction ends, or gives null. Writes on one order go one after
 * the other, so that two refunds cannot both see the same remainder.
 */
export async function lockOrder(client: PoolClient, orderId: string): Promise<OrderState | null> {
  const { rows } = await client.query<Omit<OrderState, 'refunded_cents'>>(
    'select id, status, paid_cents from shop.orders where id = $1 for update',
    [orderId],
  );
  const order = rows[0];
  if (order === undefined) return null;
  // A statement of its own: it must see the refunds that were committed while this one waited for the lock.
  const refunds = await client.query<{ cents: number }>(
    `select ${REFUNDED_CENTS} as cents from shop.orders where id = $1`,
    [orderId],
  );
  return { ...order, refunded_cents: refunds.rows[0]?.cents ?? 0 };
}

async function readItems(client: PoolClient, orderId: string): Promise<Order['items']> {
  const { rows } = await client.query(
    `select product_id, name, quantity, unit_cents from shop.order_lines join shop.products on products.id = product_id
     where order_id = $1 order by line`,
    [orderId],
  );
  return rows.map((row) => ({
    productId: row.product_id,
    name: row.name,
    quantity: row.quantity,
    unitPriceUsd: usdFromCents(row.unit_cents),
  }));
}

function summaryOf(row: OrderState & { readonly placed_on: string }): OrderSummary {
  return {
    orderId: row.id,
    status: row.status,
    placedOn: row.placed_on,
    totalUsd: usdFromCents(row.paid_cents),
    refundedUsd: usdFromCents(row.refunded_cents),
  };
}
