import type { Requirements } from '../../authoring/define-agent.ts';
import { choicesOf, type ModelPolicy } from '../../domain/model/model-policy.ts';
import { formatUsd, picoFromUsd } from '../../domain/model/price.ts';
import type { ApprovalRule } from '../../domain/policy/approval-policy.ts';
import type { InputGuardrail } from '../../domain/policy/guardrail.ts';
import type { ReflectionPolicy } from '../../domain/policy/reflection.ts';
import type { RunLimits } from '../../domain/release/release.ts';
import { type EffectClass, isWrite } from '../../domain/tool/contract.ts';
import { formatTable } from '../format/table.ts';
import { formatCost, formatCount, formatDuration, oneLine } from '../format/units.ts';

/** A tool as it is shown. */
export type ToolView = {
  readonly name: string;
  readonly version: string;
  readonly effect: EffectClass;
  readonly owner: string;
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  readonly execution: 'queued' | 'local';
  readonly taskQueue: string | null;
  readonly whenUnavailable: 'block' | 'observe';
  readonly destinationHoldsKeys: boolean;
  readonly hasBusinessKey: boolean;
  readonly canReconcile: boolean;
  /** Names only. */
  readonly secrets: readonly string[];
};

/** An agent as it is shown. */
export type AgentView = {
  readonly name: string;
  readonly owner: string;
  readonly purpose: string;
  /** Id of the release that a worker here would register. */
  readonly release: string;
  readonly requirements: Requirements;
  readonly models: ModelPolicy;
  readonly limits: RunLimits;
  readonly tools: readonly ToolView[];
  readonly previousTools: readonly ToolView[];
  readonly asksPerson: { readonly deadlineMs: number } | null;
  readonly approvals: readonly ApprovalRule[];
  readonly guardrails: readonly InputGuardrail[];
  readonly reflection: ReflectionPolicy | null;
};

/** A day, as the approval policy has it where a rule says nothing. */
const DEFAULT_DEADLINE_MS = 24 * 60 * 60 * 1000;

/** Writes what one run may cost. */
export function formatCap(usd: number): string {
  return `${formatUsd(picoFromUsd(usd))} USD`;
}

/** Writes an agent for a person. */
export function formatAgent(agent: AgentView): string {
  const { name, purpose, owner, release, tools, previousTools, asksPerson } = agent;
  const blocks = [
    `${name} · ${oneLine(purpose)}\n  owner ${oneLine(owner)} · release ${release}`,
    block('Requirements', [requirementsOf(agent.requirements)]),
    block('Limits of a run', [limitsOf(agent.limits)]),
    block('Models', modelsOf(agent.models)),
    block('Tools', tools.length === 0 ? [] : toolTable(tools).split('\n')),
    block('Older tools, for runs that began with them', previousTools.map(nameOf)),
    block('Questions to the person', asksPerson === null ? [] : [`wait for ${formatDuration(asksPerson.deadlineMs)}`]),
    block('Approvals', agent.approvals.map(approvalOf)),
    block(
      'Guardrails',
      agent.guardrails.map((guardrail) => `${guardrail.name}  ${guardrail.verdict}  ${oneLine(guardrail.pattern)}`),
    ),
    block('Must be grounded', (agent.reflection?.groundedPatterns ?? []).map(oneLine)),
  ];
  return blocks.filter((text) => text !== '').join('\n\n');
}

function block(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

function requirementsOf({ latencyP95Ms, costPerRunUsd, volumePerDay, dataClasses = [] }: Requirements): string {
  return [
    `95 % of runs work at most ${formatDuration(latencyP95Ms)}`,
    `${formatCap(costPerRunUsd)} a run`,
    ...(volumePerDay === undefined ? [] : [`${formatCount(volumePerDay, 'run')} a day`]),
    ...(dataClasses.length === 0 ? [] : [`sees ${dataClasses.map(oneLine).join(', ')}`]),
  ].join(' · ');
}

function limitsOf({ costPico, tokens, turns, toolCalls, activeMs }: RunLimits): string {
  return [
    formatCost(costPico, false),
    formatCount(tokens, 'token'),
    formatCount(turns, 'turn'),
    formatCount(toolCalls, 'tool call'),
    `${formatDuration(activeMs)} of work`,
  ].join(' · ');
}

function modelsOf(models: ModelPolicy): readonly string[] {
  return choicesOf(models).map(
    ({ place, choice: { id, outputTokensMax, contextTokensMax, reads = [] } }) =>
      `${tierName(models, place)}  ${id} · writes at most ${formatCount(outputTokensMax, 'token')} a call · ${formatCount(contextTokensMax, 'token')} with the prompt${reads.map((kind) => ` · reads ${kind}`).join('')}`,
  );
}

/** A fallback is written under its tier; the tier that answers is marked where it is another than standard. */
function tierName({ use }: ModelPolicy, place: string): string {
  if (place.includes('.fallbacks[')) return '  else';
  const tier = place.replace('models.', '');
  return tier === use ? `${tier} (answers)` : tier;
}

function toolTable(tools: readonly ToolView[]): string {
  return formatTable(
    [
      { heading: 'tool' },
      { heading: 'effect' },
      { heading: 'timeout', align: 'right' },
      { heading: 'runs on' },
      { heading: 'after a lost reply' },
    ],
    tools.map((tool) => [
      nameOf(tool),
      tool.effect,
      formatDuration(tool.timeoutMs),
      tool.taskQueue ?? (tool.execution === 'local' ? 'the run’s queue' : 'tools'),
      afterLostReply(tool),
    ]),
  );
}

function nameOf({ name, version }: ToolView): string {
  return `${name} ${version}`;
}

/** Says how the platform finds out about a call that nobody answered. */
function afterLostReply({ effect, attemptsMax, canReconcile, destinationHoldsKeys }: ToolView): string {
  if (!isWrite(effect)) return `called again, ${formatCount(attemptsMax, 'time')} at most`;
  if (canReconcile) return 'the destination is asked';
  return destinationHoldsKeys || effect === 'idempotent-write' ? 'sent again, same key' : 'waits for a person';
}

function approvalOf({ name, tool, when, deadlineMs = DEFAULT_DEADLINE_MS, onExpiry = 'reject' }: ApprovalRule): string {
  const bounds = [
    ...(when?.above === undefined ? [] : [`above ${when.above}`]),
    ...(when?.below === undefined ? [] : [`below ${when.below}`]),
    ...(when?.equals === undefined ? [] : [`equal to ${JSON.stringify(when.equals)}`]),
  ];
  const condition = when === undefined ? '' : ` when ${when.path} is ${bounds.join(' and ')}`;
  return `${name}  ${tool}${condition} · ${formatDuration(deadlineMs)}, then ${onExpiry}`;
}
