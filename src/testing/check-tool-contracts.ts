import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { servedTools } from '../activities/tool/find-tool.ts';
import type { Agent } from '../authoring/define-agent.ts';
import { canonicalJson } from '../domain/json.ts';
import { toolActivityType, type ToolContract } from '../domain/tool/contract.ts';
import { contractDrift } from '../domain/tool/drift.ts';

/** What would block runs that began with a contract of the file. */
export type ContractProblem = {
  readonly agent: string;
  /** Name and major version: `saveNote@1`. */
  readonly tool: string;
  readonly problem: string;
};

/** Contracts that runs may hold, by agent and by activity type, the oldest first. */
type Recorded = { readonly [agent: string]: { readonly [tool: string]: readonly ToolContract[] } };

/**
 * Compares the tools of agents with the contracts that a file keeps: those that runs in flight may have begun with. A run whose tool is
 * gone or has changed in a way that matters blocks until a worker serves the old one again. Where nothing is wrong, contracts that are
 * new to the file are added; commit it with each release, and take out of it what no run holds any more.
 *
 * @param file Path of a JSON file, which the first call makes.
 * @returns what would block, in words; empty when every run can go on.
 */
export function checkToolContracts(agents: readonly Agent[], file: string): readonly ContractProblem[] {
  const recorded = readRecorded(file);
  const problems = Object.entries(recorded).flatMap(([agent, tools]) =>
    Object.entries(tools).flatMap(([tool, contracts]) =>
      contracts.flatMap((pinned) => {
        const problem = problemOf(agents, agent, pinned);
        return problem === null ? [] : [{ agent, tool, problem }];
      }),
    ),
  );
  if (problems.length === 0) writeRecorded(file, withServed(recorded, agents));
  return problems;
}

function problemOf(agents: readonly Agent[], name: string, pinned: ToolContract): string | null {
  const agent = agents.find((each) => each.name === name);
  if (agent === undefined) return 'the agent is gone';
  const type = toolActivityType(pinned);
  const served = servedTools(agent).find(({ contract }) => toolActivityType(contract) === type);
  if (served !== undefined) return contractDrift(pinned, served.contract);
  return 'it is gone: keep it in previousTools while runs hold it';
}

function withServed(recorded: Recorded, agents: readonly Agent[]): Recorded {
  const all: Record<string, Record<string, readonly ToolContract[]>> = {};
  for (const [agent, tools] of Object.entries(recorded)) all[agent] = { ...tools };
  for (const agent of agents) {
    const tools = (all[agent.name] ??= {});
    for (const { contract } of servedTools(agent)) {
      const known = tools[toolActivityType(contract)] ?? [];
      const isKnown = known.some((each) => canonicalJson(each) === canonicalJson(contract));
      tools[toolActivityType(contract)] = isKnown ? known : [...known, contract];
    }
  }
  return all;
}

/** @throws Error that names the file when it is not one of ours. */
function readRecorded(file: string): Recorded {
  if (!existsSync(file)) return {};
  try {
    const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
    for (const tools of Object.values(recorded)) {
      for (const contracts of Object.values(tools)) contracts.forEach(toolActivityType);
    }
    return recorded;
  } catch (error) {
    throw new Error(`${file} holds no contracts; restore it, or delete it to begin anew`, { cause: error });
  }
}

function writeRecorded(file: string, recorded: Recorded): void {
  const text = `${JSON.stringify(recorded, null, 2)}\n`;
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
