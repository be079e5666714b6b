import { z } from 'zod';
import { type Agent, defineAgent, defineTool, type Tool } from '../../../src/authoring/index.ts';
import type { AgentSpec } from '../../../src/authoring/define-agent.ts';

/** Makes an agent whose model is the script `scripted:<name>`. Everything may be given otherwise. */
export function testAgent(name: string, spec: Partial<AgentSpec> = {}): Agent {
  return defineAgent({
    name,
    owner: 'tests',
    purpose: 'Is tested.',
    requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
    instructions: 'Be brief.',
    models: { standard: { id: `scripted:${name}`, outputTokensMax: 1_000, contextTokensMax: 1_000_000 } },
    tools: [],
    ...spec,
  });
}

/** Makes a read that answers with what the function gives for an id. */
export function lookupTool(name: string, look: (id: string) => unknown = (id) => `found ${id}`): Tool {
  return defineTool({
    name,
    version: '1.0.0',
    description: 'Looks something up.',
    input: z.object({ id: z.string().min(1) }),
    output: z.json(),
    effect: 'read',
    owner: 'tests',
    run: async ({ id }) => (await look(id)) as z.core.util.JSONType,
  });
}

/** A write's destination: what arrived, by effect key, in order. */
export type Destination = { readonly arrived: { readonly key: string; readonly amount: number }[] };

/** Makes a write that is noted in its destination. `before` may hold it up. */
export function payTool(destination: Destination, before: () => Promise<void> = async () => undefined): Tool {
  return defineTool({
    name: 'pay',
    version: '1.2.0',
    description: 'Pays an amount.',
    input: z.object({ amount: z.number().int().positive(), note: z.string().optional() }),
    output: z.object({ paid: z.number() }),
    effect: 'write',
    owner: 'tests',
    timeoutMs: 5_000,
    run: async ({ amount }, { idempotencyKey }) => {
      await before();
      destination.arrived.push({ key: idempotencyKey, amount });
      return { paid: amount };
    },
  });
}
