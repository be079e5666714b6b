import { z } from 'zod';
import { defineAgent, defineTool } from '../../../../src/authoring/index.ts';

const requestQuote = defineTool({
  name: 'requestQuote',
  version: '1.0.0',
  description: 'Asks a supplier for a price, who answers when he has time.',
  owner: 'tests',
  input: z.strictObject({}),
  output: z.object({ priceUsd: z.number(), validUntil: z.string().optional() }),
  effect: 'write',
  deferred: { timeoutMs: 60 * 60 * 1000 },
  run: async () => undefined,
});

/** Waits for a result from outside, for the commands that give one. */
export const agent = defineAgent({
  name: 'quotes',
  owner: 'tests',
  purpose: 'Waits for a result from outside.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 1 },
  instructions: 'Ask for a quote.',
  models: { standard: { id: 'rehearsal:quotes', outputTokensMax: 500, contextTokensMax: 100_000 } },
  tools: [requestQuote],
  rehearsal: ({ parts }) =>
    parts.some((part) => part.kind === 'tool-result')
      ? { text: 'Here is the price.' }
      : { toolCalls: [{ tool: 'requestQuote', input: {} }] },
});
