import type { PoolClient } from 'pg';
import type { z } from 'zod';
import { usdFromCents } from './money.ts';
import { lockOrder, type addressSchema, type OrderState } from './orders.ts';
import { refused, type WriteOutcome } from './once-by-key.ts';

type Address = z.infer<typeof addressSchema>;

/** Cancels an order that has not left the shop and puts its items back into stock, in the caller's transaction. */
export async function cancel(
  client: PoolClient,
  orderId: string,
): Promise<WriteOutcome<{ orderId: string; status: 'cancelled'; refundableUsd: string }>> {
  const order = await lockOrder(client, orderId);
  if (order === null) return unknown(orderId);
  const objection = objectionTo(order, 'cancelled');
  if (objection !== null) return refused(objection);
  await client.query(`update shop.orders set status = 'cancelled', cancelled_on = current_date where id = $1`, [
    orderId,
  ]);
  await client.query(
    `update shop.products set stock = stock + returned.quantity
     from (select product_id, sum(quantity)::integer as quantity from shop.order_lines where order_id = $1 group by product_id) as returned
     where products.id = returned.product_id`,
    [orderId],
  );
  const leftCents = order.paid_cents - order.refunded_cents;
  return { kind: 'done', result: { orderId, status: 'cancelled', refundableUsd: usdFromCents(leftCents) } };
}

/** Sends an order that has not left the shop to another address, in the caller's transaction. */
export async function changeAddress(
  client: PoolClient,
  orderId: string,
  address: Address,
): Promise<WriteOutcome<{ orderId: string; shippingAddress: Address }>> {
  const order = await lockOrder(client, orderId);
  if (order === null) return unknown(orderId);
  const objection = objectionTo(order, 'sent to another address');
  if (objection !== null) return refused(objection);
  await client.query('update shop.orders set street = $2, postal_code = $3, city = $4, country = $5 where id = $1', [
    orderId,
    address.street,
    address.postalCode,
    address.city,
    address.country,
  ]);
  return { kind: 'done', result: { orderId, shippingAddress: address } };
}

function unknown(orderId: string): WriteOutcome<never> {
  return refused(`There is no order ${orderId}. Ask the customer to check the order id.`);
}

function objectionTo(order: OrderState, wish: string): string | null {
  switch (order.status) {
    case 'placed':
    case 'packed':
      return null;
    case 'shipped':
      return `Order ${order.id} is already shipped and can no longer be ${wish}. It can be refunded once it is delivered.`;
    case 'delivered':
      return `Order ${order.id} is already delivered and can no longer be ${wish}. It can be refunded.`;
    case 'cancelled':
      return `Order ${order.id} is already cancelled and can no longer be ${wish}.`;
  }
}
