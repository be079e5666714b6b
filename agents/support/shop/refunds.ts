import type { PoolClient } from 'pg';
import { usdFromCents } from './money.ts';
import { lockOrder, refundableCents, type OrderState } from './orders.ts';
import { refused, type WriteOutcome } from './once-by-key.ts';

/** What may be refunded for one order without a person: beyond it the mistake costs more than the wait. */
export const REFUND_WITHOUT_APPROVAL_USD_MAX = 100;

const WITHOUT_APPROVAL_CENTS_MAX = REFUND_WITHOUT_APPROVAL_USD_MAX * 100;

export type RefundRequest = {
  readonly orderId: string;
  readonly amountCents: number;
  readonly reason: string;
  readonly idempotencyKey: string;
  readonly agentRunId: string;
};

export type Refund = {
  readonly refundId: string;
  readonly orderId: string;
  readonly amountUsd: string;
  readonly refundedUsd: string;
  readonly refundableUsd: string;
};

/** Refunds an order, in the caller's transaction. */
export async function refund(client: PoolClient, request: RefundRequest): Promise<WriteOutcome<Refund>> {
  const order = await lockOrder(client, request.orderId);
  if (order === null) return refused(`There is no order ${request.orderId}. Ask the customer to check the order id.`);
  const objection = objectionTo(order, request.amountCents, await smallRefundCents(client, order.id));
  if (objection !== null) return refused(objection);
  const { rows } = await client.query<{ id: string }>(
    `insert into shop.refunds (order_id, amount_cents, reason, idempotency_key, agent_run_id)
     values ($1, $2, $3, $4, $5) returning id`,
    [order.id, request.amountCents, request.reason, request.idempotencyKey, request.agentRunId],
  );
  const refundedCents = order.refunded_cents + request.amountCents;
  return {
    kind: 'done',
    result: {
      refundId: rows[0]?.id ?? '',
      orderId: order.id,
      amountUsd: usdFromCents(request.amountCents),
      refundedUsd: usdFromCents(refundedCents),
      refundableUsd: usdFromCents(order.paid_cents - refundedCents),
    },
  };
}

function objectionTo(order: OrderState, amountCents: number, smallCents: number): string | null {
  const { id, status } = order;
  if (status === 'placed' || status === 'packed') {
    return `Order ${id} is ${status}: it has to be cancelled first, then it can be refunded.`;
  }
  if (status === 'shipped') return `Order ${id} is on its way: it can be refunded once it is delivered.`;
  const leftCents = refundableCents(order);
  if (leftCents === 0) {
    return `Order ${id} is already refunded in full: ${usdFromCents(order.refunded_cents)} USD. Nothing is left to refund.`;
  }
  if (amountCents > leftCents) {
    return `At most ${usdFromCents(leftCents)} USD of order ${id} can be refunded: ${usdFromCents(order.paid_cents)} USD was paid, ${usdFromCents(order.refunded_cents)} USD is already refunded.`;
  }
  // Otherwise a large refund could be taken in small parts that no approval rule sees.
  const isSmall = amountCents <= WITHOUT_APPROVAL_CENTS_MAX;
  if (isSmall && smallCents + amountCents > WITHOUT_APPROVAL_CENTS_MAX) {
    const restCents = WITHOUT_APPROVAL_CENTS_MAX - smallCents;
    return `Refunds of one order without approval may come to ${usdFromCents(WITHOUT_APPROVAL_CENTS_MAX)} USD, and ${usdFromCents(restCents)} USD of that is left for order ${id}. A person of the shop has to do the rest.`;
  }
  return null;
}

/** Adds up the refunds of an order that an agent made below the approval threshold. */
async function smallRefundCents(client: PoolClient, orderId: string): Promise<number> {
  const { rows } = await client.query<{ cents: number }>(
    `select coalesce(sum(amount_cents), 0)::integer as cents from shop.refunds
     where order_id = $1 and amount_cents <= $2 and agent_run_id is not null`,
    [orderId, WITHOUT_APPROVAL_CENTS_MAX],
  );
  return rows[0]?.cents ?? 0;
}
