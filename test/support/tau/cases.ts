import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../../../src/domain/json.ts';

export type Domain = 'retail' | 'airline';
export const DOMAINS: readonly Domain[] = ['retail', 'airline'];

/** A task of a customer with the calls that solve it. */
export type TauCase = {
  readonly id: string;
  readonly user: string;
  readonly actions: readonly {
    readonly name: string;
    readonly arguments: JsonObject;
    readonly error?: boolean;
    readonly mutates?: boolean;
  }[];
  readonly final_must_contain: readonly string[];
};

export type TauTool = { readonly name: string; readonly description: string; readonly parameters: JsonObject };

export const tauFolder = resolve(process.env['PERDURE_CASES'] ?? '../shared/cases', 'tau');
export const hasTauCases = existsSync(tauFolder);

/** Reads the cases of a domain. */
export function tauCases(domain: Domain): readonly TauCase[] {
  return readJson(join(domain, 'tasks.json')) as readonly TauCase[];
}

/** Reads the tools of a domain as its providers describe them. */
export function tauTools(domain: Domain): readonly TauTool[] {
  const tools = readJson(join(domain, 'tools.json')) as readonly (TauTool | { readonly function: TauTool })[];
  return tools.map((tool) => ('function' in tool ? tool.function : tool));
}

/** Reads the rules that an agent of a domain goes by. */
export function tauPolicy(domain: Domain): string {
  return readFileSync(join(tauFolder, domain, 'policy.md'), 'utf8');
}

/** Tells which tools of a domain change something. */
export function mutatingTools(domain: Domain): ReadonlySet<string> {
  const actions = tauCases(domain).flatMap((each) => each.actions);
  return new Set(actions.filter(({ mutates }) => mutates === true).map(({ name }) => name));
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(tauFolder, path), 'utf8'));
}
