import type { Agent } from '../../authoring/define-agent.ts';
import type { Tool } from '../../authoring/define-tool.ts';
import type { Release, RunLimits } from '../../domain/release/release.ts';
import type { AdmitInput } from '../../domain/run/activity-inputs.ts';
import { modelsPerAttempt, tierOf } from '../../domain/model/model-policy.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { PlannedTool, RunPlan } from '../../domain/run/plan.ts';
import type { AdmitResult } from '../../domain/run/results.ts';
import { subjectOfRun } from '../../domain/run/start.ts';
import { contentHash } from '../../domain/sha-256.ts';
import { contractHash, toolActivityType } from '../../domain/tool/contract.ts';
import type { ActivityDependencies, ActivitySettings } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import type { RetryOf } from '../../domain/run/start.ts';
import type { EndedRun } from '../../stores/ended-runs.ts';
import type { StandingRun } from '../../stores/runs.ts';
import { buildRelease } from './agent-release.ts';
import { plainExit, planExit } from './plan-exit.ts';
import { runAccountsOf } from './run-accounts.ts';
import { type Admitting, takeUp } from './take-up.ts';
import { takeOver } from './take-over.ts';

/** Admits a run: chooses its release, records its plan, opens its row and its budget. Again for the same run it changes nothing. */
export async function admit(dependencies: ActivityDependencies, input: AdmitInput): Promise<AdmitResult> {
  return runActivity(input, async () => {
    const { stores, agents, settings, failpoint } = dependencies;
    const { start, tenant } = input;
    const id = agentRunIdOfActivity();
    // The key alone says which run it is: an ended one keeps its end, whatever else is asked for under its key now.
    const earlierEnd = await stores.runs.endOf(tenant, id);
    if (earlierEnd !== null) return { kind: 'already-ended', end: earlierEnd };
    const agent = agents.get(start.agent);
    if (agent === undefined) {
      const known = [...agents.keys()].join(', ') || 'none';
      return { kind: 'refused', reason: `there is no agent ${JSON.stringify(start.agent)}; this worker has: ${known}` };
    }
    if (start.mode !== 'live')
      return { kind: 'refused', reason: `runs of mode ${start.mode} are not served; use live` };
    const release = buildRelease(agent, dependencies.effectiveModelId);
    const releaseId = await stores.releases.put(release);
    if (start.retryOf !== undefined) {
      const found = await admitRetry(dependencies, input, start.retryOf, { agent, release, releaseId });
      await failpoint('run:admitted');
      return found;
    }
    const previous = start.previous === undefined ? null : await takeOver(dependencies, tenant, start.previous);
    const subject = start.subject === undefined ? null : await stores.scopes.subjectScope(tenant, start.subject);
    if (previous !== null && previous.agent !== agent.name) {
      return { kind: 'refused', reason: `the run that it goes on from is one of ${previous.agent}` };
    }
    if (previous !== null && subject !== null && subject !== previous.scope) {
      return { kind: 'refused', reason: 'the run that it goes on from is about another subject' };
    }
    const head = previous === null || previous.head === null ? {} : { head: previous.head };
    const { plan, end } = await stores.runs.admit(tenant, {
      id,
      agent: agent.name,
      kind: start.kind,
      mode: start.mode,
      release: releaseId,
      // What was said stays where it is, so a successor speaks about the same subject.
      scope: previous?.scope ?? subject ?? (await stores.scopes.subjectScope(tenant, subjectOfRun(id))),
      root: id,
      principal: start.principal,
      keyHash: contentHash([tenant, start.kind, start.startKey]),
      plan: {
        ...buildPlan(agent, release, releaseId, settings, start.limits ?? {}),
        ...plannedTier(release, start),
        exit: await planExit(stores, tenant, { release, releaseId, kind: start.kind }),
      },
      deadlineAt: start.deadlineAt,
      accounts: await runAccountsOf(stores, id, start),
      ...head,
    });
    await failpoint('run:admitted');
    if (end !== null) return { kind: 'already-ended', end };
    return { kind: 'admitted', plan, ...head };
  });
}

/** Admits a run that takes up an ended one: in its scope, under its root, and with limits of its own. */
async function admitRetry(
  dependencies: ActivityDependencies,
  input: AdmitInput,
  retryOf: RetryOf,
  admitting: Admitting,
): Promise<AdmitResult> {
  const { stores, settings } = dependencies;
  const { start, tenant } = input;
  const { agent, release, releaseId } = admitting;
  const id = agentRunIdOfActivity();
  // What the first attempt has written stands, whatever today's build would make of it.
  const standing = await stores.runs.standing(tenant, id);
  if (standing !== null) return resultOf(standing);
  const found = await takeUp(dependencies, input, retryOf, admitting, id);
  if (found.kind === 'refused') return found;
  const { run, taken } = found;
  const asked = { ...askedLimits(run, await stores.releases.get(run.release)), ...start.limits };
  const plan = buildPlan(agent, release, releaseId, settings, asked);
  const admitted = await stores.runs.admit(tenant, {
    id,
    agent: agent.name,
    kind: start.kind,
    mode: start.mode,
    release: releaseId,
    scope: run.scope,
    root: run.root,
    principal: start.principal,
    keyHash: contentHash([tenant, start.kind, start.startKey]),
    // Turns are counted on, and what may be used is counted anew.
    plan: {
      ...plan,
      ...plannedTier(release, start),
      limits: { ...plan.limits, turns: Math.min(plan.limits.turns + taken.turn, LIMITS.turnsMax) },
    },
    deadlineAt: start.deadlineAt,
    accounts: await runAccountsOf(stores, id, start),
    retry: { of: run.id, taken },
  });
  return resultOf(admitted);
}

function resultOf({ plan, end, taken }: StandingRun): AdmitResult {
  if (end !== null) return { kind: 'already-ended', end };
  return { kind: 'admitted', plan, ...(taken === null ? {} : { taken }) };
}

/** What the caller of the run before asked for that was less than its release gave: it holds on unless this caller says otherwise. */
function askedLimits({ limits, taken }: EndedRun, given: Release): Partial<RunLimits> {
  const own: RunLimits = { ...limits, turns: limits.turns - taken.turn };
  return {
    ...(BigInt(own.costPico) < BigInt(given.limits.costPico) ? { costPico: own.costPico } : {}),
    ...(own.tokens < given.limits.tokens ? { tokens: own.tokens } : {}),
    ...(own.turns < given.limits.turns ? { turns: own.turns } : {}),
    ...(own.toolCalls < given.limits.toolCalls ? { toolCalls: own.toolCalls } : {}),
    ...(own.activeMs < given.limits.activeMs ? { activeMs: own.activeMs } : {}),
  };
}

/** The plan names the tier where it is not the one that every build would take. */
function plannedTier({ models }: Release, { tier: asked }: AdmitInput['start']): Pick<RunPlan, 'tier'> {
  const tier = tierOf(models, asked);
  return asked === undefined && tier === 'standard' ? {} : { tier };
}

function buildPlan(
  agent: Agent,
  release: Release,
  releaseId: string,
  settings: ActivitySettings,
  asked: Partial<RunLimits>,
): RunPlan {
  return {
    release: releaseId,
    limits: lowerLimits(release.limits, asked),
    tools: Object.fromEntries(agent.tools.map((tool) => [tool.contract.name, planTool(tool, settings)])),
    modelQueue: `${settings.queuePrefix}-models`,
    modelTimeoutMs: settings.modelTimeoutMs * modelsPerAttempt(release.models),
    turnsPerExecution: Math.min(settings.turnsPerExecution, LIMITS.turnsPerExecution),
    revisionsMax: release.reflection?.revisionsMax ?? null,
    exit: plainExit(release),
    holdsBack: true,
    ...(release.output === undefined ? {} : { repairsLast: true as const }),
  };
}

function planTool(tool: Tool, { queuePrefix }: ActivitySettings): PlannedTool {
  const queue = tool.taskQueue === null ? `${queuePrefix}-tools` : `${queuePrefix}-tool-${tool.taskQueue}`;
  return {
    activity: toolActivityType(tool.contract),
    contract: contractHash(tool.contract),
    effect: tool.contract.effect,
    execution: tool.execution,
    taskQueue: tool.execution === 'local' ? `${queuePrefix}-agents` : queue,
    timeoutMs: tool.timeoutMs,
  };
}

/** A caller may ask for less than the release gives, never for more. */
function lowerLimits(limits: RunLimits, asked: Partial<RunLimits>): RunLimits {
  const lower = (name: Exclude<keyof RunLimits, 'costPico'>): number =>
    Math.min(limits[name], asked[name] ?? limits[name]);
  const askedPico = BigInt(asked.costPico ?? limits.costPico);
  return {
    costPico: askedPico < BigInt(limits.costPico) ? String(askedPico) : limits.costPico,
    tokens: lower('tokens'),
    turns: lower('turns'),
    toolCalls: lower('toolCalls'),
    activeMs: lower('activeMs'),
  };
}
