import type { PoolClient } from 'pg';
import { z } from 'zod';

export const customerIdSchema = z
  .string()
  .trim()
  .toUpperCase()
  .regex(/^C-\d{4,6}$/, 'a customer id looks like C-1001')
  .describe('Customer id, for example C-1001.');

export const customerSchema = z.strictObject({
  customerId: z.string(),
  name: z.string(),
  email: z.string(),
  customerSince: z.iso.date(),
});

export type Customer = z.infer<typeof customerSchema>;

/** Five: one person is looked for; more namesakes than that are told apart by e-mail. */
const CUSTOMERS_MAX = 5;

/** Finds customers whose e-mail and name are as given, without regard to case. Parts of a name find nobody. */
export async function findCustomers(
  client: PoolClient,
  wanted: { readonly email?: string | undefined; readonly name?: string | undefined },
): Promise<Customer[]> {
  const { rows } = await client.query<Customer>(
    `select id as "customerId", name, email, customer_since::text as "customerSince" from shop.customers
     where ($1::text is null or email = lower($1)) and ($2::text is null or lower(name) = lower($2))
     order by id limit $3`,
    [wanted.email ?? null, wanted.name ?? null, CUSTOMERS_MAX],
  );
  return rows;
}

/** Tells whether a customer with this id exists. */
export async function hasCustomer(client: PoolClient, customerId: string): Promise<boolean> {
  const { rowCount } = await client.query('select from shop.customers where id = $1', [customerId]);
  return rowCount === 1;
}
