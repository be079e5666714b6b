import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { z } from 'zod';
import {
  type Agent,
  defineAgent,
  defineTool,
  type Tool,
  type ToolContext,
  ToolRefusal,
} from '../../../src/authoring/index.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { mutatingTools, type TauCase, tauCases, tauPolicy, tauTools, type TauTool } from './cases.ts';

/** Makes the agent of a domain: its tools are those of an MCP server, by their names and schemas. */
export function tauAgent(domain: string, name: string, modelId: string): Agent {
  const mutating = mutatingTools(domain);
  return defineAgent({
    name,
    owner: 'tests',
    purpose: `Serves the customers of the ${domain} cases.`,
    requirements: { latencyP95Ms: 600_000, costPerRunUsd: 1_000 },
    instructions: tauPolicy(domain),
    models: { standard: { id: modelId, outputTokensMax: 1_000, contextTokensMax: 1_000_000 } },
    limits: { turns: 500, toolCalls: 1_000 },
    tools: tauTools(domain).map((tool) => remoteTool(domain, tool, mutating.has(tool.name))),
  });
}

function remoteTool(domain: string, { name, description, parameters }: TauTool, mutates: boolean): Tool {
  const common = {
    name: 'remote',
    version: '1.0.0',
    description,
    // What an argument must be is the server's to say: its refusal is part of a case.
    input: z.record(z.string(), z.json()),
    output: z.string(),
    owner: 'tests',
    secrets: ['TAU_TOOLS_URL'],
    timeoutMs: 10_000,
    run: (input: unknown, context: ToolContext) => callRemote(domain, name, input as JsonObject, context),
  };
  const tool = mutates
    ? defineTool({ ...common, effect: 'write', idempotencyKey: { destination: true } })
    : defineTool({ ...common, effect: 'read' });
  // The model reads name and schema as they were given, also where no tool of ours could be called so.
  return { ...tool, contract: { ...tool.contract, name, inputSchema: parameters } };
}

/** Calls a tool over MCP. The tenant names case, session and faults: a tool knows of no other place where a test could say them. */
async function callRemote(domain: string, name: string, input: JsonObject, context: ToolContext): Promise<string> {
  const url = new URL(`${context.secret('TAU_TOOLS_URL')}/mcp/${domain}/${context.tenant}`);
  const { caseId, faults } = readTenant(domain, context.tenant);
  url.search = new URLSearchParams({ case: caseId, ...faults }).toString();
  const client = new Client({ name: 'tau', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(url);
  try {
    await client.connect(transport, { signal: context.signal });
    const params = { name, arguments: input, _meta: { 'idempotency-key': context.idempotencyKey } };
    const { content, isError } = await client.callTool(params, undefined, { signal: context.signal });
    const text = z.array(z.object({ type: z.literal('text'), text: z.string() })).parse(content);
    const said = text.map((part) => part.text).join('');
    if (isError === true) throw new ToolRefusal(said);
    return said;
  } finally {
    await client.close();
  }
}

/** `lose` and `err` strike the session's call of that number, from 0; `slow` waits so many milliseconds in each. */
export type Faults = { readonly [fault in 'lose' | 'err' | 'slow']?: string };

/** Names the tenant of a case by its place: `retail.7__chat__lose-2`. */
export function tenantOf({ domain, place }: TauCase, label: string, faults: Faults = {}): string {
  const struck = Object.entries(faults).map(([fault, value]) => `__${fault}-${value}`);
  return `${domain}.${place}__${label}${struck.join('')}`;
}

const idsOf = new Map<string, readonly string[]>();

function readTenant(
  domain: string,
  tenant: string,
): { readonly caseId: string; readonly faults: Record<string, string> } {
  const [named = '', , ...struck] = tenant.slice(domain.length + 1).split('__');
  const ids = idsOf.get(domain) ?? tauCases(domain).map(({ id }) => id);
  idsOf.set(domain, ids);
  return { caseId: ids[Number(named)] ?? '', faults: Object.fromEntries(struck.map((fault) => fault.split('-'))) };
}
