import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../../../src/domain/json.ts';

export type BfclTool = { readonly name: string; readonly description: string; readonly parameters: JsonObject };

export type BfclCall = { readonly name: string; readonly arguments: JsonObject; readonly result?: string };

/** What a user says one thing after the other, and the calls that each of them needs. */
export type BfclCase = {
  readonly id: string;
  readonly tools: readonly BfclTool[];
  readonly turns: readonly { readonly user: string; readonly calls: readonly BfclCall[] }[];
};

/** A file of conversations, and one of single messages that need several calls at once. */
type Conversations = {
  readonly tools: Readonly<Record<string, readonly BfclTool[]>>;
  readonly cases: readonly (Omit<BfclCase, 'tools'> & {
    readonly tool_classes: readonly string[];
    readonly excluded_functions?: readonly string[];
  })[];
};
type Messages = readonly (Omit<BfclCase, 'turns'> & { readonly user: string; readonly calls: readonly BfclCall[] })[];

const folder = resolve(process.env['PERDURE_CASES'] ?? '../shared/cases', 'bfcl');
export const hasBfclCases = existsSync(folder);

/** Reads all cases that there are, whichever files they are in. */
export function bfclCases(): readonly BfclCase[] {
  if (!hasBfclCases) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.toSorted().flatMap((name) => {
    const read = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Conversations | Messages;
    return 'cases' in read ? conversationsOf(read) : read.map(messageOf);
  });
}

function conversationsOf({ tools, cases }: Conversations): readonly BfclCase[] {
  return cases.map(({ id, turns, tool_classes: classes, excluded_functions: excluded = [] }) => {
    const offered = classes.flatMap((each) => tools[each] ?? []).filter(({ name }) => !excluded.includes(name));
    return { id, turns, tools: [...new Map(offered.map((tool) => [tool.name, tool])).values()] };
  });
}

function messageOf({ id, user, tools, calls }: Messages[number]): BfclCase {
  return { id, tools, turns: [{ user, calls }] };
}
