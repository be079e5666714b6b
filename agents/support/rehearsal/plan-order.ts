import { textOf, type AnsweredCall, type Conversation } from './conversation.ts';
import { ask, call, member, memberText, say, writeResult, type Move } from './plan.ts';

/** What the rehearsal uses of a result of `lookupOrder`. */
export type OrderFacts = {
  readonly orderId: string;
  readonly status: 'placed' | 'packed' | 'shipped' | 'delivered' | 'cancelled';
  readonly placedOn: string;
  readonly deliveredOn: string | null;
  readonly customerName: string;
  readonly customerEmail: string;
  readonly items: readonly { readonly name: string; readonly quantity: number }[];
  readonly totalUsd: string;
  readonly refundedUsd: string;
  readonly refundableUsd: string;
  readonly carrier: string | null;
  readonly tracking: string | null;
};

/** Chooses the next move for one order that the customer owns, from the facts of its look-up and of the writes so far. */
export function planOrder(conversation: Conversation, order: OrderFacts): Move {
  const { intents } = conversation.wish;
  if (intents.has('cancel')) return planCancellation(conversation, order);
  if (intents.has('refund')) return planRefund(conversation, order);
  if (intents.has('change-address')) return planAddress(conversation, order);
  if (intents.has('complaint')) return planComplaint(order);
  return say(describe(order));
}

function planCancellation(conversation: Conversation, order: OrderFacts): Move {
  const { orderId } = order;
  const wantsRefund = conversation.wish.intents.has('refund');
  const made = writeResult(conversation, 'cancelOrder', orderId);
  if (made?.isError) return say(`I could not cancel order ${orderId}: ${textOf(made.output)}`);
  if (made !== undefined) {
    const refundableUsd = memberText(made.output, 'refundableUsd');
    if (wantsRefund) return planRefund(conversation, { ...order, status: 'cancelled', refundableUsd });
    return say(`Order ${orderId} is cancelled. Tell me if you want the ${refundableUsd} USD refunded.`);
  }
  if (isOpen(order)) return call('cancelOrder', { orderId });
  if (wantsRefund && order.status !== 'shipped') return planRefund(conversation, order);
  if (order.status === 'cancelled') return say(`Order ${orderId} is already cancelled.${refundNote(order)}`);
  return say(
    `Order ${orderId} is already ${order.status} and can no longer be cancelled.` +
      (order.status === 'shipped' ? `${trackingNote(order)} Once it is delivered I can refund it.` : refundNote(order)),
  );
}

function planRefund(conversation: Conversation, order: OrderFacts): Move {
  const { orderId, refundableUsd } = order;
  const made = writeResult(conversation, 'refundOrder', orderId);
  if (made !== undefined) return say(tellRefund(made, orderId));
  if (isOpen(order)) {
    return ask(`Order ${orderId} is ${order.status} and not yet sent. Shall I cancel it and refund what you paid?`);
  }
  if (order.status === 'shipped') {
    return say(`Order ${orderId} is on its way.${trackingNote(order)} I can refund it once it is delivered.`);
  }
  if (refundableUsd === '0.00') {
    return say(`Order ${orderId} is already refunded in full: ${order.refundedUsd} USD of ${order.totalUsd} USD.`);
  }
  const amountUsd = conversation.wish.amountUsd ?? Number(refundableUsd);
  if (amountUsd > Number(refundableUsd)) {
    return say(
      `At most ${refundableUsd} USD of order ${orderId} can be refunded: you paid ${order.totalUsd} USD and ${order.refundedUsd} USD is already refunded.`,
    );
  }
  return call('refundOrder', { orderId, amountUsd, reason: conversation.wish.reason ?? 'customer asked for a refund' });
}

function tellRefund(made: AnsweredCall, orderId: string): string {
  if (made.isError) return `The refund of order ${orderId} was not made: ${textOf(made.output)}`;
  const amountUsd = member(made.output, 'amountUsd');
  const refundId = member(made.output, 'refundId');
  // A result without the members is one that the platform gives, such as that the refund was made before.
  if (typeof amountUsd !== 'string' || typeof refundId !== 'string') return `The refund of order ${orderId} is made.`;
  const leftUsd = member(made.output, 'refundableUsd');
  const rest = leftUsd === '0.00' || typeof leftUsd !== 'string' ? '' : ` ${leftUsd} USD can still be refunded.`;
  return `I refunded ${amountUsd} USD for order ${orderId}; the refund id is ${refundId}.${rest}`;
}

function planAddress(conversation: Conversation, order: OrderFacts): Move {
  const { orderId } = order;
  const made = writeResult(conversation, 'changeShippingAddress', orderId);
  if (made?.isError) return say(`I could not change the address of order ${orderId}: ${textOf(made.output)}`);
  const { address } = conversation.wish;
  if (made !== undefined) {
    return say(
      `Order ${orderId} now goes to ${address === null ? 'the new address' : Object.values(address).join(', ')}.`,
    );
  }
  if (!isOpen(order)) {
    return say(
      `Order ${orderId} is already ${order.status}, so its address can no longer be changed.${trackingNote(order)}`,
    );
  }
  if (address === null)
    return ask(`What is the new address for order ${orderId}: street, postal code and city, country?`);
  return call('changeShippingAddress', { orderId, address });
}

function planComplaint(order: OrderFacts): Move {
  const sorry = `I am sorry about the trouble with order ${order.orderId}.`;
  const canRefund = order.refundableUsd !== '0.00';
  return canRefund ? ask(`${sorry} Shall I refund ${order.refundableUsd} USD?`) : say(`${sorry} ${describe(order)}`);
}

function describe(order: OrderFacts): string {
  const items = order.items.map((item) => `${item.quantity} × ${item.name}`).join(', ');
  const delivered = order.deliveredOn === null ? '' : ` on ${order.deliveredOn}`;
  const refunded = order.refundedUsd === '0.00' ? '' : ` ${order.refundedUsd} USD of it is refunded.`;
  return `Order ${order.orderId} (${items}; ${order.totalUsd} USD), placed on ${order.placedOn}, is ${order.status}${delivered}.${trackingNote(order)}${refunded}`;
}

function isOpen(order: OrderFacts): boolean {
  return order.status === 'placed' || order.status === 'packed';
}

function trackingNote(order: OrderFacts): string {
  return order.carrier === null ? '' : ` It went with ${order.carrier}, tracking ${order.tracking}.`;
}

function refundNote(order: OrderFacts): string {
  return order.refundableUsd === '0.00' ? '' : ` I can refund up to ${order.refundableUsd} USD.`;
}
