import type { z } from 'zod';
import type { MessagePart } from '../domain/model/message-part.ts';
import type { JsonValue } from '../domain/json.ts';
import type { ModelPolicy } from '../domain/model/model-policy.ts';
import { policyProblem } from '../domain/model/policy-problem.ts';
import type { ApprovalRule } from '../domain/policy/approval-policy.ts';
import type { InputGuardrail } from '../domain/policy/guardrail.ts';
import { exitProblem, type ExitSpec } from '../domain/run/exit-policy.ts';
import type { ReflectionPolicy } from '../domain/policy/reflection.ts';
import { type AgentOutput, describeOutput } from './agent-output.ts';
import type { Tool } from './define-tool.ts';

/** What the agent must achieve. The run's cost cap and time limits follow from it. */
export type Requirements = {
  /** 95th percentile of a run's active time, in milliseconds. The active limit is ten times that, at least 60 s. */
  readonly latencyP95Ms: number;
  /** What one run may cost, in USD: the run's cap. */
  readonly costPerRunUsd: number;
  /** Runs a day that the agent is built for. */
  readonly volumePerDay?: number;
  /** Kinds of data the agent may see, for example `customer-contact`. */
  readonly dataClasses?: readonly string[];
};

/** What a rehearsal sees: the transcript so far, and nothing else. */
export type RehearsalView = {
  readonly parts: readonly MessagePart[];
  /** Names of the tools of the release. */
  readonly tools: readonly string[];
};

/** What a rehearsal answers: text, tool calls, or both. */
export type RehearsalReply = {
  readonly text?: string;
  readonly toolCalls?: readonly { readonly tool: string; readonly input: JsonValue }[];
};

/** A pure function of the transcript that plays the model, to try an agent without a key. */
export type Rehearsal = (view: RehearsalView) => RehearsalReply;

export type AgentSpec = {
  /** kebab-case, at most 48 characters. The agent's folder has the same name. */
  readonly name: string;
  /** Who answers for the agent. */
  readonly owner: string;
  /** What it is for, in one sentence. */
  readonly purpose: string;
  readonly requirements: Requirements;
  readonly instructions: string;
  readonly models: ModelPolicy;
  readonly tools: readonly Tool[];
  /** Older major versions that are still served to runs which began with them. New runs do not see them. */
  readonly previousTools?: readonly Tool[];
  readonly guardrails?: readonly InputGuardrail[];
  readonly approvals?: readonly ApprovalRule[];
  readonly reflection?: ReflectionPolicy;
  /** What ends a run before its model does: results that make its goal true, what it is worth, and reads that may be repeated. A list is that of the goals. */
  readonly exit?: ExitSpec;
  /**
   * What final answers must be. An answer that does not fit is sent back once; the next that does not ends the run. Default: plain text.
   */
  readonly output?: z.ZodType | AgentOutput;
  /** Ceilings besides cost and time. Defaults: 50 turns, 200 tool calls, 2,000,000 tokens. */
  readonly limits?: { readonly turns?: number; readonly toolCalls?: number; readonly tokens?: number };
  /** Lets the model put a question to the person with the built-in tool `askPerson`; the run waits for the answer. */
  readonly asksPerson?: { readonly deadlineMs: number };
  readonly rehearsal?: Rehearsal;
  /** An input to try the agent with, used by `npm start`. */
  readonly sampleInput?: string;
};

/** An agent as workers hold it. */
export type Agent = Omit<AgentSpec, 'output'> & { readonly output?: AgentOutput };

/**
 * Defines an agent.
 *
 * @throws TypeError when the definition contradicts itself; the message says what to change.
 */
export function defineAgent(spec: AgentSpec): Agent {
  const refuse = (what: string): never => {
    throw new TypeError(`defineAgent(${JSON.stringify(spec.name)}): ${what}`);
  };
  if (!/^[a-z][a-z0-9-]{0,47}$/.test(spec.name)) refuse('name must be kebab-case, 1 to 48 characters');
  if (!(spec.requirements.costPerRunUsd > 0)) refuse('requirements.costPerRunUsd must be above 0');
  if (!(spec.requirements.latencyP95Ms > 0)) refuse('requirements.latencyP95Ms must be above 0');
  const names = spec.tools.map((tool) => tool.contract.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) refuse(`tool ${twice} is listed twice; a release names one version of each tool`);
  if (spec.asksPerson !== undefined && names.includes('askPerson')) {
    refuse('the tool askPerson is built in when asksPerson is set; give yours another name');
  }
  const unsound = policyProblem(spec.models);
  if (unsound !== null) refuse(unsound);
  const patterns = [
    ...(spec.guardrails ?? []).map(({ name, pattern }) => ({ of: `guardrail ${name}`, pattern })),
    ...(spec.reflection?.groundedPatterns ?? []).map((pattern) => ({ of: 'reflection', pattern })),
  ];
  const broken = patterns.find(({ pattern }) => !isRegularExpression(pattern));
  if (broken !== undefined) {
    refuse(`${broken.of} has the pattern ${JSON.stringify(broken.pattern)}, which is not a regular expression`);
  }
  const wrongExit = exitProblem(
    spec.exit,
    spec.tools.map((tool) => tool.contract),
  );
  if (wrongExit !== null) refuse(wrongExit);
  for (const rule of spec.approvals ?? []) {
    if (!names.includes(rule.tool))
      refuse(`approval rule ${rule.name} names the tool ${rule.tool}, which the agent does not have`);
  }
  const { output } = spec;
  // A definition without one is given back as it is.
  return output === undefined ? (spec as Agent) : { ...spec, output: outputOf(output, refuse) };
}

/** A definition that was made from another agent has its output described already. */
function outputOf(output: z.ZodType | AgentOutput, refuse: (what: string) => never): AgentOutput {
  if (!('_zod' in output)) return output;
  try {
    return describeOutput(output);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function isRegularExpression(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}
