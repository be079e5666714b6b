/** Where an order stands. `cancelled` is reached from `placed` and `packed` only. */
export type OrderStatus = 'placed' | 'packed' | 'shipped' | 'delivered' | 'cancelled';

export type CustomerRow = {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly customer_since: string;
};

export type ProductRow = {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly description: string;
  readonly price_cents: number;
  readonly stock: number;
};

export type OrderRow = {
  readonly id: string;
  readonly customer_id: string;
  readonly status: OrderStatus;
  readonly paid_cents: number;
  readonly street: string;
  readonly postal_code: string;
  readonly city: string;
  readonly country: string;
  readonly carrier: string | null;
  readonly tracking: string | null;
  readonly placed_on: string;
  readonly shipped_on: string | null;
  readonly delivered_on: string | null;
  readonly cancelled_on: string | null;
};

export type OrderLineRow = {
  readonly order_id: string;
  readonly line: number;
  readonly product_id: string;
  readonly quantity: number;
  readonly unit_cents: number;
};

export type RefundRow = {
  readonly id: string;
  readonly order_id: string;
  readonly amount_cents: number;
  readonly reason: string;
  readonly idempotency_key: string;
  readonly agent_run_id: string | null;
  readonly refunded_at: string;
};

/** The rows of the shop, table by table, in an order that keeps the foreign keys. */
export type ShopRows = {
  readonly customers: readonly CustomerRow[];
  readonly products: readonly ProductRow[];
  readonly orders: readonly OrderRow[];
  readonly order_lines: readonly OrderLineRow[];
  readonly refunds: readonly RefundRow[];
};
