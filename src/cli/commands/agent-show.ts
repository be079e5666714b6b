import type { Command } from 'commander';
import { effectiveModelId } from '../../activities/model/providers.ts';
import { buildRelease } from '../../activities/release/agent-release.ts';
import type { Agent } from '../../authoring/define-agent.ts';
import type { Tool } from '../../authoring/define-tool.ts';
import { releaseId } from '../../domain/release/release.ts';
import type { Environment } from '../../runtime/config.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { findAgent, loadOwnAgents } from '../find-agent.ts';
import { type AgentView, formatAgent, type ToolView } from './agent-format.ts';

/** Adds `agent show`. */
export function addAgentShow(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'show',
    summary: 'show an agent: what it must achieve, may do and may use up, and its release',
    examples: ['perdure agent show support', 'perdure agent show support --json'],
  })
    .argument('<agent>', 'name of an agent in ./agents')
    .action(async (name: string, options: CommonOptions) => {
      const { cli } = context;
      const view = viewOf(findAgent(await loadOwnAgents(cli), name), cli.env);
      printData(context, options, view, () => formatAgent(view));
    });
}

/** Describes an agent as a worker with this environment would register it. */
function viewOf(agent: Agent, env: Environment): AgentView {
  const release = buildRelease(agent, (id) => effectiveModelId(id, env));
  const { name, owner, purpose, requirements, previousTools = [], asksPerson = null } = agent;
  const { models, limits, approvals, guardrails, reflection } = release;
  return {
    name,
    owner,
    purpose,
    release: releaseId(release),
    requirements,
    models,
    limits,
    tools: agent.tools.map(toolView),
    previousTools: previousTools.map(toolView),
    asksPerson,
    approvals,
    guardrails,
    reflection,
  };
}

function toolView(tool: Tool): ToolView {
  const { contract, reconcile, businessKey, destinationHoldsKeys, ...rest } = tool;
  return {
    name: contract.name,
    version: contract.version,
    effect: contract.effect,
    owner: rest.owner,
    timeoutMs: rest.timeoutMs,
    attemptsMax: rest.attemptsMax,
    execution: rest.execution,
    taskQueue: rest.taskQueue,
    whenUnavailable: rest.whenUnavailable,
    destinationHoldsKeys,
    hasBusinessKey: businessKey !== null,
    canReconcile: reconcile !== null,
    secrets: rest.secrets,
  };
}
