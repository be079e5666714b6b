import { condition, proxyActivities } from '@temporalio/workflow';
import type { ModelActivities } from '../activities/create-activities.ts';
import type { Decision } from '../domain/run/decision.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { RunPlan } from '../domain/run/plan.ts';
import { type ActiveMs, measureActiveTime } from './active-time.ts';
import { activityOptions, deadlineOf, rows } from './activity-options.ts';
import { troubleOf } from './activity-trouble.ts';
import { awaitApproval } from './await-approval.ts';
import { awaitDeferred, rejectForeignResults } from './await-deferred.ts';
import { awaitHuman } from './await-human.ts';
import { awaitRate, throttledUntil } from './await-rate.ts';
import { callTools } from './call-tools.ts';
import type { Shell } from './shell.ts';
import { untilCalledOff } from './until-called-off.ts';

type Performed = Exclude<Decision, { kind: 'end' | 'continue-as-new' }>;

/**
 * Carries out a decision: the only caller of activities in the run. Gives exactly one observation, whatever happens. Replay-safe: what it
 * does depends on the decision, the state and recorded results.
 */
export async function perform(shell: Shell, decision: Performed): Promise<Observation> {
  const measured = measureActiveTime();
  const isPatient = shell.run.blocked !== null;
  const isWait = decision.kind === 'await-approval' || decision.kind === 'await-deferred';
  // Time that the run is blocked is not work, and neither is the wait before a result that could not be written.
  const activeMs: ActiveMs = (...results) => (isPatient || isWait ? 0 : measured(...results));
  try {
    switch (decision.kind) {
      case 'pause':
        await condition(() => !shell.run.isPaused || shell.run.stop !== null);
        return { kind: 'pause-ended' };
      case 'await-human':
        return await awaitHuman(shell, decision.wait);
      case 'await-approval':
        return await awaitApproval(shell, decision);
      case 'await-deferred':
        return await awaitDeferred(shell, decision);
      case 'await-rate':
        return await awaitRate(shell, decision);
      case 'call-tools': {
        const work = () => callTools(shell, decision, activeMs);
        const called = isPatient ? await untilCalledOff(shell, work) : await work();
        if (called !== null) rejectForeignResults(shell, called);
        return called ?? { kind: 'called-off' };
      }
      case 'admit':
      case 'perceive':
      case 'call-model':
      case 'compact':
      case 'reflect':
        return (await untilCalledOff(shell, () => runActivityOf(shell, decision, activeMs))) ?? { kind: 'called-off' };
    }
  } catch (error) {
    return { kind: 'activity-failed', trouble: troubleOf(error), activeMs: activeMs(undefined) };
  }
}

async function runActivityOf(
  shell: Shell,
  decision: Performed & { kind: 'admit' | 'perceive' | 'call-model' | 'compact' | 'reflect' },
  activeMs: ActiveMs,
): Promise<Observation> {
  const { run } = shell;
  const { tenant } = run.start;
  const patience = run.blocked === null ? {} : ({ patient: true } as const);
  switch (decision.kind) {
    case 'admit': {
      const input = { tenant, start: run.start, ...patience };
      return { kind: 'admitted', result: await rows(shell.run, `admit ${run.start.agent}`).admit(input) };
    }
    case 'perceive': {
      const { inputs } = decision;
      const summary = `before turn ${run.turn + 1} · ${inputs.length} ${inputs.length === 1 ? 'message' : 'messages'}`;
      const result = await rows(shell.run, summary).perceive({ tenant, turn: run.turn, inputs, ...patience });
      return { kind: 'perceived', ids: inputs.map((input) => input.id), result, activeMs: activeMs(result) };
    }
    case 'call-model': {
      const { turn, delta, closing, lastAnswer } = decision;
      const plan = planOf(shell);
      const asked = {
        ...(closing === undefined ? {} : { closing }),
        ...(lastAnswer === undefined ? {} : { lastAnswer }),
        ...(plan.tier === undefined ? {} : { tier: plan.tier }),
      };
      const summary =
        modelSummary(turn, plan, run.results.length) + (closing === undefined ? '' : ` · closing: ${closing}`);
      const { callModel } = models(shell, plan, summary);
      const result = await callModel({ tenant, turn, head: run.head, delta, ...asked, ...patience });
      if (result.kind === 'throttled') return throttledUntil(result);
      return { kind: 'model-called', result, activeMs: activeMs(result) };
    }
    case 'compact': {
      const { turn, head, through } = decision;
      const { compact } = models(shell, planOf(shell), `compact turns 1 to ${through}`);
      const result = await compact({ tenant, turn, head, through, ...patience });
      if (result.kind === 'throttled') return throttledUntil(result);
      return { kind: 'compacted', result, activeMs: activeMs(result) };
    }
    case 'reflect': {
      const result = await rows(shell.run, `turn ${decision.turn} · check the answer`).reflect({
        tenant,
        head: run.head ?? '',
        ...patience,
      });
      return { kind: 'reflected', result, activeMs: activeMs(result) };
    }
  }
}

function models(shell: Shell, plan: RunPlan, summary: string): ModelActivities {
  const { modelTimeoutMs: workMs, modelQueue: taskQueue } = plan;
  return proxyActivities<ModelActivities>(
    activityOptions({ workMs, taskQueue, summary, deadlineAt: deadlineOf(shell.run) }),
  );
}

function modelSummary(turn: number, { tier = 'standard' }: RunPlan, results: number): string {
  const heard = results === 0 ? '' : ` · ${results} tool ${results === 1 ? 'result' : 'results'}`;
  return `turn ${turn} · ${tier}${heard}`;
}

function planOf({ run }: Shell): RunPlan {
  if (run.plan === null) throw new Error('a model call needs the plan of the run');
  return run.plan;
}
