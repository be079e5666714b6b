import { z } from 'zod';
import { defineAgent, defineTool, ToolRefusal } from '../../../../src/authoring/index.ts';

const common = { version: '1.0.0', owner: 'tests', output: z.json() } as const;

/** Fails at its first attempt, with words that must not be told. */
const look = defineTool({
  ...common,
  name: 'look',
  description: 'Looks something up.',
  effect: 'read',
  input: z.object({ id: z.string() }),
  run: async ({ id }, { attempt }) => {
    if (attempt === 1) throw new Error(`${id} is not to be told by an error`);
    return `${id} is not to be told by a result`;
  },
});

const refuse = defineTool({
  ...common,
  name: 'refuse',
  description: 'Says no.',
  effect: 'read',
  input: z.object({ id: z.string() }),
  run: async ({ id }) => {
    throw new ToolRefusal(`No ${id}.`);
  },
});

const pay = defineTool({
  ...common,
  name: 'pay',
  description: 'Pays.',
  effect: 'write',
  idempotencyKey: { destination: true },
  input: z.object({ amount: z.number(), note: z.string() }),
  run: async ({ amount }) => ({ paid: amount }),
});

/** Has a tool that is tried again, one that refuses, and a write that needs an approval. */
export const agent = defineAgent({
  name: 'traced',
  owner: 'tests',
  purpose: 'Is traced.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Do what you are told and never say planted-in-instructions.',
  models: {
    standard: {
      id: 'openai-compatible:paid',
      outputTokensMax: 500,
      contextTokensMax: 100_000,
      temperature: 0.5,
    },
  },
  tools: [look, refuse, pay],
  approvals: [{ name: 'every-payment', tool: 'pay' }],
});
