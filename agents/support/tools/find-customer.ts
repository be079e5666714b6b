import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { customerSchema, findCustomers } from '../shop/customers.ts';
import { inShop, SHOP_SECRET } from '../shop/in-shop.ts';

/** Three seconds: a look-up by an indexed column takes milliseconds, the rest is for a busy server. */
const TIMEOUT_MS = 10_000;

/** Finds customers by e-mail or full name. */
export const findCustomer = defineTool({
  name: 'findCustomer',
  version: '1.0.0',
  description:
    'Finds customers by e-mail address or full name (exact, upper or lower case). Use it to identify the person you talk to. An empty list means that the shop knows nobody like that.',
  owner: 'shop-platform',
  input: z
    .strictObject({
      email: z.email().optional().describe('E-mail address that the customer gave.'),
      name: z.string().trim().min(3).max(120).optional().describe('Full name that the customer gave.'),
    })
    .refine(({ email, name }) => email !== undefined || name !== undefined, 'give an email, a name, or both'),
  output: z.strictObject({ customers: z.array(customerSchema) }),
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  secrets: [SHOP_SECRET],
  run: async (input, context) => {
    const transaction = { context, access: 'read only', timeoutMs: TIMEOUT_MS } as const;
    return { customers: await inShop(transaction, (client) => findCustomers(client, input)) };
  },
});
