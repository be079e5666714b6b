import type { PoolClient } from 'pg';
import { z } from 'zod';
import { usdFromCents } from './money.ts';
import { usdSchema } from './orders.ts';

export const productSchema = z.strictObject({
  productId: z.string(),
  name: z.string(),
  category: z.string(),
  priceUsd: usdSchema,
  stock: z.int().describe('Pieces that can be sent now.'),
});

export type Product = z.infer<typeof productSchema>;

/** Finds products whose name, category or description holds every word of the query; those in stock and cheaper come first. */
export async function findProducts(client: PoolClient, query: string, limit: number): Promise<Product[]> {
  const patterns = query
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => `%${word.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`);
  const { rows } = await client.query(
    `select id, name, category, price_cents, stock from shop.products
     where name || ' ' || category || ' ' || description ilike all ($1::text[])
     order by stock = 0, price_cents, id limit $2`,
    [patterns, limit],
  );
  return rows.map((row) => ({
    productId: row.id,
    name: row.name,
    category: row.category,
    priceUsd: usdFromCents(row.price_cents),
    stock: row.stock,
  }));
}
