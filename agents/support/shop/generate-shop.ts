import { FIXTURE_CUSTOMERS, FIXTURE_LINES, FIXTURE_ORDERS, FIXTURE_PRODUCTS } from './fixtures.ts';
import { createRandom, type Random } from './random.ts';
import type { CustomerRow, OrderLineRow, OrderRow, OrderStatus, ProductRow, RefundRow, ShopRows } from './rows.ts';
import {
  CARRIERS,
  CITIES,
  FIRST_NAMES,
  LAST_NAMES,
  PRODUCT_KINDS,
  REFUND_REASONS,
  STREETS,
  VARIANTS,
} from './vocabulary.ts';

/** Any number does; a change of it is another data set. */
const SEED = 20_260_601;
/** A small shop of about a year: enough rows that a query without an index shows. */
const CUSTOMERS = 2_000;
const ORDERS = 8_000;
/** The day after the last generated order: dates are fixed, so that every installation has the same rows. */
const TODAY = Date.UTC(2026, 5, 1);
const DAY_MS = 24 * 60 * 60 * 1000;

/** Generates the rows of the shop: the same rows on every call. */
export function generateShop(): ShopRows {
  const random = createRandom(SEED);
  const customers = [...FIXTURE_CUSTOMERS, ...generateCustomers(random)];
  const products = [...FIXTURE_PRODUCTS, ...generateProducts(random)];
  const orders: OrderRow[] = [...FIXTURE_ORDERS];
  const lines: OrderLineRow[] = [...FIXTURE_LINES];
  const refunds: RefundRow[] = [];
  const taken = new Set(FIXTURE_ORDERS.map((order) => order.id));
  for (let index = 0; orders.length < ORDERS; index += 1) {
    const id = `A-${1_000 + index}`;
    if (taken.has(id)) continue;
    const items = generateLines(random, id, products);
    const order = generateOrder(random, id, items, customers);
    orders.push(order);
    lines.push(...items);
    const refund = generateRefund(random, order, refunds.length);
    if (refund !== null) refunds.push(refund);
  }
  return { customers, products, orders, order_lines: lines, refunds };
}

function generateCustomers(random: Random): readonly CustomerRow[] {
  return Array.from({ length: CUSTOMERS - FIXTURE_CUSTOMERS.length }, (_, index) => {
    const [first, last] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES)];
    const number = 1_001 + FIXTURE_CUSTOMERS.length + index;
    return {
      id: `C-${number}`,
      name: `${first} ${last}`,
      email: `${first}.${last}.${number}@example.com`.toLowerCase(),
      phone: `+1 555 ${random.integer(1_000, 9_999)}`,
      customer_since: day(random.integer(90, 1_500)),
    };
  });
}

function generateProducts(random: Random): readonly ProductRow[] {
  const kinds = PRODUCT_KINDS.flatMap((kind) => VARIANTS.map((variant) => ({ ...kind, variant })));
  return kinds.slice(FIXTURE_PRODUCTS.length).map((kind, index) => ({
    id: `P-${101 + FIXTURE_PRODUCTS.length + index}`,
    name: `${kind.variant} ${kind.noun}`,
    category: kind.category,
    description: `${kind.noun} in the ${kind.variant} line for the ${kind.category} range.`,
    price_cents: Math.round(random.integer(kind.minCents, kind.maxCents) / 50) * 50,
    stock: random.integer(0, 9) === 0 ? 0 : random.integer(1, 120),
  }));
}

function generateLines(random: Random, orderId: string, products: readonly ProductRow[]): readonly OrderLineRow[] {
  return Array.from({ length: random.pick([1, 1, 1, 2, 2, 3, 4]) }, (_, index) => {
    const product = random.pick(products);
    const quantity = random.pick([1, 1, 1, 2, 3]);
    return { order_id: orderId, line: index + 1, product_id: product.id, quantity, unit_cents: product.price_cents };
  });
}

function generateOrder(
  random: Random,
  id: string,
  items: readonly OrderLineRow[],
  customers: readonly CustomerRow[],
): OrderRow {
  const placedDaysAgo = random.integer(1, 364);
  const status = pickStatus(random, placedDaysAgo);
  const isShipped = status === 'shipped' || status === 'delivered';
  const carrier = random.pick(CARRIERS);
  const tracking = `${carrier}-${random.integer(1_000_000, 9_999_999)}`.toUpperCase();
  return {
    id,
    // Customers with known ids keep the orders that the documents give them.
    customer_id: random.pick(customers.slice(FIXTURE_CUSTOMERS.length)).id,
    status,
    paid_cents: items.reduce((sum, item) => sum + item.quantity * item.unit_cents, 0),
    street: `${random.integer(1, 180)} ${random.pick(STREETS)}`,
    postal_code: String(random.integer(10_000, 99_999)),
    ...random.pick(CITIES),
    carrier: isShipped ? carrier : null,
    tracking: isShipped ? tracking : null,
    placed_on: day(placedDaysAgo),
    shipped_on: isShipped ? day(placedDaysAgo - 1) : null,
    delivered_on: status === 'delivered' ? day(placedDaysAgo - 4) : null,
    cancelled_on: status === 'cancelled' ? day(placedDaysAgo - 1) : null,
  };
}

function pickStatus(random: Random, placedDaysAgo: number): OrderStatus {
  if (random.integer(1, 25) === 1) return 'cancelled';
  if (placedDaysAgo <= 2) return 'placed';
  if (placedDaysAgo <= 4) return 'packed';
  return placedDaysAgo <= 9 ? 'shipped' : 'delivered';
}

/** Refunds one delivered order in thirty and half of the cancelled ones, fully or by half. */
function generateRefund(random: Random, order: OrderRow, refundsSoFar: number): RefundRow | null {
  const oneIn = { delivered: 30, cancelled: 2, placed: 0, packed: 0, shipped: 0 }[order.status];
  if (oneIn === 0 || random.integer(1, oneIn) !== 1) return null;
  const isFull = order.status === 'cancelled' || random.integer(1, 2) === 1;
  return {
    id: `R-${1_001 + refundsSoFar}`,
    order_id: order.id,
    amount_cents: isFull ? order.paid_cents : Math.ceil(order.paid_cents / 2),
    reason: order.status === 'cancelled' ? 'order cancelled' : random.pick(REFUND_REASONS),
    idempotency_key: `generated-${order.id}`,
    agent_run_id: null,
    refunded_at: `${order.delivered_on ?? order.cancelled_on ?? order.placed_on}T12:00:00Z`,
  };
}

function day(daysAgo: number): string {
  return new Date(TODAY - daysAgo * DAY_MS).toISOString().slice(0, 10);
}
