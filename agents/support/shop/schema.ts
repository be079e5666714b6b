/**
 * The tables of the shop. Money is integer cents, because sums of it must be exact. `effect_log` is what makes a write
 * happen once: its key is inserted in the transaction of the write.
 */
export const SHOP_SCHEMA = `
create schema if not exists shop;

create table shop.customers (
  id text primary key,
  name text not null,
  email text not null unique check (email = lower(email)),
  phone text not null,
  customer_since date not null
);
create index customers_by_name on shop.customers (lower(name));

create table shop.products (
  id text primary key,
  name text not null,
  category text not null,
  description text not null,
  price_cents integer not null check (price_cents > 0),
  stock integer not null check (stock >= 0)
);

create table shop.orders (
  id text primary key,
  customer_id text not null references shop.customers (id),
  status text not null check (status in ('placed', 'packed', 'shipped', 'delivered', 'cancelled')),
  paid_cents integer not null check (paid_cents >= 0),
  street text not null,
  postal_code text not null,
  city text not null,
  country text not null,
  carrier text,
  tracking text,
  placed_on date not null,
  shipped_on date,
  delivered_on date,
  cancelled_on date,
  check ((tracking is null) = (shipped_on is null))
);
create index orders_by_customer on shop.orders (customer_id, placed_on desc);

create table shop.order_lines (
  order_id text not null references shop.orders (id),
  line integer not null,
  product_id text not null references shop.products (id),
  quantity integer not null check (quantity > 0),
  unit_cents integer not null check (unit_cents > 0),
  primary key (order_id, line)
);

create sequence shop.refund_numbers start 5001;

create table shop.refunds (
  id text primary key default 'R-' || nextval('shop.refund_numbers'),
  order_id text not null references shop.orders (id),
  amount_cents integer not null check (amount_cents > 0),
  reason text not null,
  idempotency_key text not null unique,
  agent_run_id text,
  refunded_at timestamptz not null default now()
);
create index refunds_by_order on shop.refunds (order_id);

create table shop.effect_log (
  idempotency_key text primary key,
  operation text not null,
  request jsonb not null,
  outcome jsonb,
  agent_run_id text not null,
  at timestamptz not null default now()
);

create table shop.data_set (version integer primary key, created_at timestamptz not null default now());
`;
