import { ASK_PERSON, textOf, type AnsweredCall, type Conversation, type Json } from './conversation.ts';
import { planOrder, type OrderFacts } from './plan-order.ts';
import { ask, call, member, memberText, readResult, say, type Move } from './plan.ts';

const CAN_DO = 'an order status, a refund, a cancellation, a new address, or a product';

/** Chooses the next moves: calls to make together, or what to say. */
export function planConversation(conversation: Conversation): readonly Move[] {
  const { intents, orderIds } = conversation.wish;
  const unanswered = conversation.calls.findLast((made) => made.tool === ASK_PERSON);
  if (unanswered?.isError)
    return [say('I got no answer to my question, so I stop here. Write again when it suits you.')];
  if (intents.has('declined')) return [say('All right, I leave it as it is.')];
  if (intents.has('thanks')) return [say('You are welcome.')];
  if (intents.has('greeting')) return [say(`Hello! I can help with ${CAN_DO}. What do you need?`)];
  if (intents.has('product')) return [planProducts(conversation)];
  if (intents.size === 0) return [ask(`What can I do for you: ${CAN_DO}?`)];
  return orderIds.length > 0 && !intents.has('orders') ? planOrders(conversation) : [planWithoutOrder(conversation)];
}

/** Looks all orders up at once, with the customer where an e-mail is known, then goes on order by order. */
function planOrders(conversation: Conversation): readonly Move[] {
  const { orderIds, email } = conversation.wish;
  const reads = orderIds.map((orderId) => call('lookupOrder', { orderId }));
  if (email !== null) reads.unshift(call('findCustomer', { email }));
  const missing = reads.filter(
    (move) => move.kind === 'call' && readResult(conversation, move.tool, move.input) === undefined,
  );
  if (missing.length > 0) return missing;
  return orderIds.map((orderId) => {
    const found = readResult(conversation, 'lookupOrder', { orderId });
    return found === undefined || found.isError
      ? say(`I could not look up order ${orderId}: ${textOf(found?.output ?? null)}`)
      : planIdentified(conversation, found.output as unknown as OrderFacts);
  });
}

/** Speaks of an order only to a person who named its e-mail address or customer. */
function planIdentified(conversation: Conversation, order: OrderFacts): Move {
  const { email, name } = conversation.wish;
  const isOwner =
    email === null
      ? conversation.told.toLowerCase().includes(order.customerName.toLowerCase())
      : email === order.customerEmail.toLowerCase();
  if (isOwner) return planOrder(conversation, order);
  if (email === null && name === null) return ask(`Which e-mail address was order ${order.orderId} placed with?`);
  return say(
    `I cannot find order ${order.orderId} under ${email ?? name}. Please check the order id and the e-mail address it was placed with.`,
  );
}

/** Finds the customer's orders, when no order id is known. */
function planWithoutOrder(conversation: Conversation): Move {
  const { email, name, intents } = conversation.wish;
  if (email === null && name === null) return ask('What are your order id and your e-mail address?');
  const who: { readonly [name: string]: Json } = email === null ? { name } : { email };
  const found = readResult(conversation, 'findCustomer', who);
  if (found === undefined) return call('findCustomer', who);
  if (found.isError) return say(`I could not look you up: ${textOf(found.output)}`);
  const customers = listOf(found, 'customers');
  if (customers.length === 0) return ask(`I find no customer under ${email ?? name}. What is your order id?`);
  if (customers.length > 1) return ask(`Several customers are called ${name}. Which e-mail address do you use?`);
  const request = { customerId: member(customers[0] ?? null, 'customerId') ?? null };
  const listed = readResult(conversation, 'listOrders', request);
  if (listed === undefined) return call('listOrders', request);
  if (listed.isError) return say(`I could not list your orders: ${textOf(listed.output)}`);
  const orders = listOf(listed, 'orders');
  if (orders.length === 0) return say('You have no orders with us yet.');
  const lines = orders.map(
    (order) => `${memberText(order, 'orderId')} (${memberText(order, 'status')}, ${memberText(order, 'totalUsd')} USD)`,
  );
  const list = `Your latest orders: ${lines.join(', ')}.`;
  return intents.has('orders') || intents.has('status') ? say(list) : ask(`${list} Which order do you mean?`);
}

/** Searches by the words of the question, and once more by the last of them where nothing fits all. */
function planProducts(conversation: Conversation): Move {
  const { query } = conversation.wish;
  if (query === null) return ask('What kind of product are you looking for?');
  const queries = [...new Set([query, query.split(' ').at(-1) ?? query])];
  for (const words of queries) {
    const found = readResult(conversation, 'searchProducts', { query: words });
    if (found === undefined) return call('searchProducts', { query: words });
    if (found.isError) return say(`I could not search the products: ${textOf(found.output)}`);
    const products = listOf(found, 'products');
    if (products.length > 0) return say(`We have ${products.map(describeProduct).join('; ')}.`);
  }
  return say(`I find nothing for “${query}” in the shop.`);
}

function describeProduct(product: Json): string {
  const stock = Number(member(product, 'stock'));
  return `${memberText(product, 'name')} (${memberText(product, 'productId')}) for ${memberText(product, 'priceUsd')} USD, ${stock > 0 ? 'in stock' : 'sold out'}`;
}

function listOf(made: AnsweredCall, name: string): readonly Json[] {
  const list = member(made.output, name);
  return Array.isArray(list) ? (list as readonly Json[]) : [];
}
