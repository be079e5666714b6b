import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../../../src/domain/json.ts';

/** A task of a customer with the calls that solve it. */
export type TauCase = {
  readonly id: string;
  /** The folder that it is in. */
  readonly domain: string;
  /** Its place in the tasks of the domain. */
  readonly place: number;
  readonly user: string;
  readonly actions: readonly {
    readonly name: string;
    readonly arguments: JsonObject;
    readonly error?: boolean;
    readonly mutates?: boolean;
  }[];
  readonly final_must_contain?: readonly string[];
};

export type TauTool = { readonly name: string; readonly description: string; readonly parameters: JsonObject };

export const tauFolder = resolve(process.env['PERDURE_CASES'] ?? '../shared/cases', 'tau');
export const hasTauCases = existsSync(tauFolder);

/** The domains that there are cases of. */
export const DOMAINS: readonly string[] = hasTauCases
  ? readdirSync(tauFolder)
      .filter((name) => existsSync(join(tauFolder, name, 'tasks.json')))
      .toSorted()
  : [];

/** Reads the cases of a domain. */
export function tauCases(domain: string): readonly TauCase[] {
  const tasks = readJson(join(domain, 'tasks.json')) as readonly TauCase[];
  return tasks.map((task, place) => ({ ...task, domain, place }));
}

/** Reads the tools of a domain as its providers describe them. */
export function tauTools(domain: string): readonly TauTool[] {
  const tools = readJson(join(domain, 'tools.json')) as readonly (TauTool | { readonly function: TauTool })[];
  return tools.map((tool) => ('function' in tool ? tool.function : tool));
}

/** Reads the rules that an agent of a domain goes by. */
export function tauPolicy(domain: string): string {
  return readFileSync(join(tauFolder, domain, 'policy.md'), 'utf8');
}

/** Tells which tools of a domain change something. */
export function mutatingTools(domain: string): ReadonlySet<string> {
  const actions = tauCases(domain).flatMap((each) => each.actions);
  return new Set(actions.filter(({ mutates }) => mutates === true).map(({ name }) => name));
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(tauFolder, path), 'utf8'));
}
