import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { agent } from '../../../agents/research/agent.ts';
import type { RehearsalView } from '../../../src/authoring/index.ts';

export type Part = RehearsalView['parts'][number];
export type Json = Extract<Part, { kind: 'tool-result' }>['output'];
export type Outcome = { readonly isError: boolean; readonly output: Json };

/** Makes a folder with these files, by their paths. */
export function makeFolder(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-research-'));
  for (const [path, text] of Object.entries(files)) writeText(folder, path, text);
  return folder;
}

/** Writes a file into a folder. */
export function writeText(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Calls a tool of the agent as a worker does whose documents are in this folder. One call at a time: the folder is the process's. */
export async function callTool(folder: string, name: string, given: Json): Promise<Outcome> {
  const tool = agent.tools.find(({ contract }) => contract.name === name);
  if (tool === undefined) throw new Error(`the agent has no tool ${name}`);
  const parsed = tool.parseInput(given);
  if (parsed.kind === 'invalid') throw new Error(`${name}: ${parsed.message}`);
  const before = process.env['PERDURE_RESEARCH_DIR'];
  process.env['PERDURE_RESEARCH_DIR'] = folder;
  try {
    return { isError: false, output: await tool.run(parsed.input, CONTEXT) };
  } catch (error) {
    return { isError: true, output: (error as Error).message };
  } finally {
    if (before === undefined) delete process.env['PERDURE_RESEARCH_DIR'];
    else process.env['PERDURE_RESEARCH_DIR'] = before;
  }
}

const CONTEXT: Parameters<(typeof agent.tools)[number]['run']>[1] = {
  signal: new AbortController().signal,
  idempotencyKey: 'research-test',
  attempt: 1,
  tenant: 'default',
  agentRunId: 'research-test',
  secret: (name) => {
    throw new Error(`the tool asked for the secret ${name}, which it does not declare`);
  },
};

export type Talk = {
  readonly parts: readonly Part[];
  readonly calls: readonly { readonly tool: string; readonly input: Json }[];
  readonly answer: string;
};

/** Lets the rehearsal and the real tools talk to each other until there is an answer. */
export async function converse(folder: string, question: string): Promise<Talk> {
  const parts: Part[] = [{ kind: 'user-text', text: question }];
  const calls: Talk['calls'][number][] = [];
  const tools = agent.tools.map(({ contract }) => contract.name);
  for (let turn = 0; turn < (agent.limits?.turns ?? 0); turn += 1) {
    const reply = agent.rehearsal?.({ parts, tools }) ?? {};
    if (reply.toolCalls === undefined) return { parts, calls, answer: reply.text ?? '' };
    calls.push(...reply.toolCalls);
    const batch = reply.toolCalls.map((made, index) => ({ ...made, toolCallId: `call-${turn}-${index}` }));
    for (const { toolCallId, tool, input } of batch)
      parts.push({ kind: 'tool-call', toolCallId, toolName: tool, input });
    for (const { toolCallId, tool, input } of batch) {
      parts.push({ kind: 'tool-result', toolCallId, toolName: tool, ...(await callTool(folder, tool, input)) });
    }
  }
  throw new Error(`the rehearsal did not end: ${JSON.stringify(parts.slice(-2))}`);
}

/** Lists the citations of an answer. */
export function citationsOf(answer: string): readonly { readonly path: string; readonly anchor: string }[] {
  return [...answer.matchAll(/\[([^\s[\]]+)#([^\s[\]]+)\]/g)].map(([, path = '', anchor = '']) => ({ path, anchor }));
}
