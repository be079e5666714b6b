import type { CustomerRow, OrderLineRow, OrderRow, OrderStatus, ProductRow } from './rows.ts';

/** Records with known ids, for documents and tests. The generated ones keep clear of these ids. */
export const FIXTURE_CUSTOMERS: readonly CustomerRow[] = [
  customer('C-1001', 'Maria Silva', '+351 555 0101'),
  customer('C-1002', 'Jonas Weber', '+49 555 0102'),
  customer('C-1003', 'Aiko Tanaka', '+1 555 0103'),
  customer('C-1004', 'Liam Murphy', '+353 555 0104'),
];

export const FIXTURE_PRODUCTS: readonly ProductRow[] = [
  product('P-101', 'Hand-Painted Teapot', 'kitchen', 4250, 18),
  product('P-102', 'Walnut Writing Desk', 'furniture', 24900, 6),
  product('P-103', 'Trail Backpack 30 L', 'travel', 8900, 40),
  product('P-104', 'Brass Reading Lamp', 'lighting', 6475, 25),
];

const LISBON = { street: '14 Rua das Flores', postal_code: '1200-195', city: 'Lisbon', country: 'Portugal' };
const BERLIN = { street: '8 Lindenstrasse', postal_code: '10969', city: 'Berlin', country: 'Germany' };
const DENVER = { street: '2210 Larimer Street', postal_code: '80205', city: 'Denver', country: 'United States' };
const DUBLIN = { street: '31 Harbour Street', postal_code: 'D02 X285', city: 'Dublin', country: 'Ireland' };

/** One order for each path through the agent; the comment says which. */
const FIXTURE_ORDERS_WITH_LINES = [
  // A refund below the approval threshold.
  order('A-1012', 'C-1001', 'delivered', LISBON, { number: 'DHL-7100012', placedOn: '2026-04-28' }, [
    ['P-101', 1, 4250],
  ]),
  // A refund that needs approval.
  order('A-1044', 'C-1002', 'delivered', BERLIN, { number: 'DHL-7100044', placedOn: '2026-05-04' }, [
    ['P-102', 1, 24900],
  ]),
  // Packed: can still be cancelled or sent to another address.
  order('A-1077', 'C-1003', 'packed', DENVER, { placedOn: '2026-05-27' }, [['P-103', 1, 8900]]),
  // Shipped: can neither be cancelled nor refunded yet.
  order('A-1090', 'C-1004', 'shipped', DUBLIN, { number: 'DHL-7100090', placedOn: '2026-05-21' }, [['P-104', 2, 6475]]),
  // A second order of the customer of A-1012.
  order('A-1101', 'C-1001', 'placed', LISBON, { placedOn: '2026-05-29' }, [
    ['P-103', 1, 8900],
    ['P-104', 1, 6475],
  ]),
  // Cancelled and paid: the whole amount can be refunded, with approval.
  order('A-1102', 'C-1002', 'cancelled', BERLIN, { placedOn: '2026-05-11' }, [['P-104', 2, 6475]]),
];

export const FIXTURE_ORDERS: readonly OrderRow[] = FIXTURE_ORDERS_WITH_LINES.map((entry) => entry.order);

export const FIXTURE_LINES: readonly OrderLineRow[] = FIXTURE_ORDERS_WITH_LINES.flatMap((entry) => entry.lines);

function customer(id: string, name: string, phone: string): CustomerRow {
  return {
    id,
    name,
    email: `${name.toLowerCase().replace(' ', '.')}@example.com`,
    phone,
    customer_since: '2024-03-11',
  };
}

function product(id: string, name: string, category: string, priceCents: number, stock: number): ProductRow {
  return { id, name, category, description: `${name} for the ${category} range.`, price_cents: priceCents, stock };
}

function order(
  id: string,
  customerId: string,
  status: OrderStatus,
  address: Pick<OrderRow, 'street' | 'postal_code' | 'city' | 'country'>,
  shipping: { readonly number?: string; readonly placedOn: string },
  items: readonly (readonly [productId: string, quantity: number, unitCents: number])[],
): { readonly order: OrderRow; readonly lines: readonly OrderLineRow[] } {
  const isShipped = shipping.number !== undefined;
  return {
    order: {
      id,
      customer_id: customerId,
      status,
      paid_cents: items.reduce((sum, [, quantity, unitCents]) => sum + quantity * unitCents, 0),
      ...address,
      carrier: isShipped ? 'DHL' : null,
      tracking: shipping.number ?? null,
      placed_on: shipping.placedOn,
      shipped_on: isShipped ? '2026-05-24' : null,
      delivered_on: status === 'delivered' ? '2026-05-26' : null,
      cancelled_on: status === 'cancelled' ? '2026-05-12' : null,
    },
    lines: items.map(([productId, quantity, unitCents], index) => ({
      order_id: id,
      line: index + 1,
      product_id: productId,
      quantity,
      unit_cents: unitCents,
    })),
  };
}
