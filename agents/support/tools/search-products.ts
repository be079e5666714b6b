import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { inShop, SHOP_SECRET } from '../shop/in-shop.ts';
import { findProducts, productSchema } from '../shop/products.ts';

/** One second, the most a local tool may take; 300 products are searched in a few milliseconds. */
const TIMEOUT_MS = 1_000;

/** Searches the shop's products. */
export const searchProducts = defineTool({
  name: 'searchProducts',
  version: '1.0.0',
  description:
    'Searches the products by words of their name, category or description; every word must occur. Gives price and stock. Use it for questions about what the shop sells. An empty list means that nothing fits: try fewer words.',
  owner: 'shop-platform',
  input: z.strictObject({
    query: z.string().trim().min(2).max(80).describe('One to three words, for example `desk lamp`.'),
    limit: z.int().min(1).max(10).default(5),
  }),
  output: z.strictObject({ products: z.array(productSchema) }),
  effect: 'read',
  execution: 'local',
  timeoutMs: TIMEOUT_MS,
  secrets: [SHOP_SECRET],
  run: async ({ query, limit }, context) => {
    const transaction = { context, access: 'read only', timeoutMs: TIMEOUT_MS } as const;
    return { products: await inShop(transaction, (client) => findProducts(client, query, limit)) };
  },
});
