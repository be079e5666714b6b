import { repairGuidance } from '../model/output-contract.ts';
import { hashId } from '../sha-256.ts';
import { deferCall, settleCall } from './deferred-calls.ts';
import { evolveExit, withoutExit } from './early-exit.ts';
import { LIMITS } from './limits.ts';
import { evolveRepeats } from './repeats.ts';
import type { Observation } from './observation.ts';
import { receiveMessage } from './receive-message.ts';
import type {
  ActivityTrouble,
  ApprovalResult,
  BudgetRefused,
  CompactResult,
  ModelResult,
  PerceiveResult,
  Throttled,
} from './results.ts';
import type { PendingCall, Run } from './run.ts';
import { takeOver } from './taken.ts';
import { topUpLimits } from './top-up.ts';

/**
 * Folds an observation into the state: the only place where the state of a run changes. Messages may be folded in between a decision
 * and its observation, so nothing here assumes that the state is the one that was decided on.
 */
export function evolve(run: Run, observation: Observation): Run {
  return evolveExit(run, fold(run, observation), observation);
}

function fold(run: Run, observation: Observation): Run {
  switch (observation.kind) {
    case 'admitted':
      return evolveAdmitted(run, observation);
    case 'perceived':
      return worked(evolvePerceived(run, observation.ids, observation.result), observation.activeMs);
    case 'model-called':
      return worked(evolveModelCalled(run, observation.result), observation.activeMs);
    case 'compacted':
      return worked(evolveCompacted(run, observation.result), observation.activeMs);
    case 'throttled':
      return { ...run, throttle: observation.throttle };
    case 'rate-waited':
      return observation.isOver ? { ...run, throttle: null } : run;
    case 'tools-called':
      return worked(evolveToolsCalled(run, observation), observation.activeMs);
    case 'approval-settling':
      return settling(run, observation.index);
    case 'approval-settled':
      return evolveApproval(run, observation.index, observation.result);
    case 'deferred-settling':
      return settleCall(run, observation.index);
    case 'deferred-settled':
      return evolveDeferred(run, observation.index, observation.ref);
    case 'human-waited':
      if (!observation.isOver) return run;
      return fail(run, { cause: 'human-timeout', disposition: 'final', message: 'nobody answered in time' });
    case 'reflected':
      return worked(evolveReflected(run, observation.result.unfounded), observation.activeMs);
    case 'activity-failed':
      return worked(evolveTrouble(run, observation.trouble), observation.activeMs);
    case 'unblocked':
      return { ...run, blocked: null };
    case 'ended':
      return { ...run, outcome: observation.outcome };
    case 'message-received':
      return receiveMessage(run, observation.message);
    case 'cancel-requested':
      return { ...run, stop: run.stop ?? { kind: 'cancel' } };
    case 'deadline-passed':
      return { ...run, stop: run.stop ?? { kind: 'expired' } };
    case 'called-off':
    case 'pause-ended':
      return run;
  }
}

function worked(run: Run, activeMs: number): Run {
  return activeMs === 0 ? run : { ...run, activeMs: run.activeMs + activeMs };
}

function evolveAdmitted(run: Run, { result }: Observation & { kind: 'admitted' }): Run {
  switch (result.kind) {
    case 'admitted': {
      const next: Run = { ...run, plan: result.plan, head: result.head ?? run.head, blocked: null };
      return run.start.retryOf === undefined ? next : takeOver(next, run.start.retryOf, result.taken);
    }
    case 'already-ended':
      return { ...run, earlierEnd: result.end };
    case 'refused':
      return { ...run, outcome: { kind: 'refused', reason: result.reason } };
  }
}

function evolvePerceived(run: Run, ids: readonly string[], result: PerceiveResult): Run {
  const perceived = run.waiting.filter((input) => ids.includes(input.id));
  const waiting = run.waiting.filter((input) => !ids.includes(input.id));
  if (result.blockedBy !== undefined) {
    const reason = `the input was blocked by the guardrail ${result.blockedBy}`;
    return { ...run, waiting, blocked: null, outcome: { kind: 'refused', reason } };
  }
  if (result.refused !== undefined) {
    return { ...run, waiting, blocked: null, outcome: { kind: 'refused', reason: result.refused } };
  }
  const isOwnGuidance = perceived.every((input) => input.kind === 'guidance' && input.id.startsWith('perdure:'));
  // An answer that was applied before has no result: the question stays open.
  const answered = result.answer === undefined ? undefined : perceived.find((input) => input.kind === 'answer');
  const next: Run = {
    ...(isOwnGuidance || perceived.every(({ kind }) => kind === 'top-up') ? run : withoutExit(run)),
    waiting,
    blocked: null,
    inputs: [...run.inputs, ...result.inputs],
    calls: answered === undefined ? run.calls : run.calls.filter((call) => call.index !== answered.index),
    results:
      answered === undefined || result.answer === undefined
        ? run.results
        : [...run.results, { index: answered.index, ref: result.answer }],
    // The run's own guidance is no reason to count repeats anew: it is what they led to.
    repeated: isOwnGuidance ? run.repeated : { fingerprint: '', times: 0 },
  };
  return perceived.reduce(
    (state, input) =>
      input.kind === 'top-up' && !result.ignored?.includes(input.id) ? topUpLimits(state, input.topUp) : state,
    result.inputs.length === 0 ? next : { ...next, isAnswered: false, isReflected: false },
  );
}

function evolveModelCalled(run: Run, result: Exclude<ModelResult, Throttled>): Run {
  if (result.kind === 'budget-refused') {
    return { ...run, blocked: null, ...exhaustion(result) };
  }
  if (result.kind === 'context-too-long') return evolveTooLong(run, result);
  const turn = run.turn + 1;
  const pending = result.calls.map((call, index): PendingCall => {
    const asked = { ...call, index };
    if (call.verdict.kind !== 'approve') return asked;
    return { ...asked, approval: { id: hashId(run.id, String(turn), String(index)), isApproved: false } };
  });
  // A reply that was kept by an attempt before may not have heard what was said while the run was blocked.
  const unheard = run.inputs.slice(Math.max(0, result.heard - run.results.length));
  const next: Run = {
    ...run,
    blocked: null,
    turn,
    head: result.head,
    compaction:
      result.compactThrough === undefined ? null : { kind: 'due', through: result.compactThrough, was: 'long' },
    inputs: unheard,
    results: pending.flatMap(({ index, verdict }) =>
      verdict.kind === 'answered' ? [{ index, ref: verdict.ref }] : [],
    ),
    calls: pending.filter(({ verdict }) => verdict.kind !== 'answered'),
    answer: result.answer ?? run.answer,
    isAnswered: result.answer !== undefined && unheard.length === 0,
    isReflected: false,
    total: result.total,
    ...(result.closedBy === undefined ? {} : { closedBy: result.closedBy }),
  };
  if (result.misfit !== undefined) return evolveMisfit(next, result.misfit);
  const { repairs: _, ...repaired } = next;
  // What mends the last turn's answer is no last answer itself: the run is whole with it.
  const { closedBy: __, ...whole } = repaired;
  const isMended = (next.repairs ?? 0) > 0 && next.closedBy === 'turns' && next.turn > (next.plan?.limits.turns ?? 0);
  const fitting = isMended ? whole : repaired;
  return evolveRepeats(result.answer === undefined ? next : fitting, result.calls);
}

/** An answer that does not fit the output schema is asked for once more; the next one that does not ends the run. */
function evolveMisfit(run: Run, misfit: string): Run {
  if ((run.repairs ?? 0) >= LIMITS.outputRepairsMax) {
    const message = `the answer does not fit the output schema, and neither did the one before: ${misfit}`;
    return fail(run, { cause: 'validation', disposition: 'final', message });
  }
  const id = `perdure:output-${run.turn}`;
  const guidance = { kind: 'guidance', id, text: repairGuidance(misfit), principal: 'perdure' } as const;
  if (run.closedBy === 'turns' && run.plan?.repairsLast === true) {
    const { closedBy: _, ...open } = run;
    return evolveMisfit(open, misfit);
  }
  return { ...run, repairs: (run.repairs ?? 0) + 1, waiting: [...run.waiting, guidance] };
}

function exhaustion({ total, dimension, account }: BudgetRefused): Partial<Run> {
  return { total, exhausted: dimension, ...(account === undefined ? {} : { exhaustedAccount: account }) };
}

/** A prompt that does not fit is compacted once; when that is not enough, or there is nothing to compact, the run cannot go on. */
function evolveTooLong(run: Run, { message, compactThrough }: ModelResult & { kind: 'context-too-long' }): Run {
  const isTried = run.compaction?.kind === 'tried';
  if (compactThrough !== null && !isTried) {
    return { ...run, blocked: null, compaction: { kind: 'due', through: compactThrough, was: 'refused' } };
  }
  const why = isTried ? 'it was compacted once' : 'there is nothing that a summary could replace';
  return fail(run, { cause: 'validation', disposition: 'final', message: `${message}; ${why}` });
}

function evolveCompacted(run: Run, result: Exclude<CompactResult, Throttled>): Run {
  if (result.kind === 'budget-refused') {
    return { ...run, blocked: null, ...exhaustion(result) };
  }
  const isRetry = run.compaction?.kind === 'due' && run.compaction.was === 'refused';
  const compaction = isRetry ? ({ kind: 'tried' } as const) : null;
  return { ...run, blocked: null, head: result.head, total: result.total, compaction };
}

function evolveToolsCalled(run: Run, observation: Observation & { kind: 'tools-called' }): Run {
  let next: Run = { ...run, blocked: null };
  for (const { index, result } of observation.results) {
    if (result.outcome === 'unknown') {
      // Someone who said `retry` meanwhile may have settled the effect: look again before waiting.
      if (run.retries === observation.retriesBefore) next = { ...next, unknownEffect: result.effectKey };
      continue;
    }
    if (result.outcome === 'deferred') {
      next = deferCall({ ...next, toolCalls: next.toolCalls + 1 }, index, result);
      continue;
    }
    next = {
      ...next,
      toolCalls: next.toolCalls + 1,
      calls: next.calls.filter((call) => call.index !== index),
      results: [...next.results, { index, ref: result.ref }],
    };
  }
  return observation.trouble === null ? next : evolveTrouble(next, observation.trouble);
}

function evolveApproval(run: Run, index: number, result: ApprovalResult): Run {
  const settle = (change: (call: PendingCall) => PendingCall): Run => ({
    ...run,
    blocked: null,
    calls: run.calls.map((call) => (call.index === index ? change(call) : call)),
  });
  switch (result.kind) {
    case 'approved':
      return settle(({ approval, ...call }) => {
        const { args: _args, argsRef: _ref, ...rest } = { args: undefined, argsRef: undefined, ...call };
        const given = result.edited ?? ('args' in call ? { args: call.args } : { argsRef: call.argsRef });
        const id = approval?.id ?? '';
        return { ...rest, ...given, argsHash: result.argsHash, approval: { id, isApproved: true } };
      });
    case 'invalid-edit':
      return settle((call) =>
        call.approval === undefined ? call : { ...call, approval: { id: call.approval.id, isApproved: false } },
      );
    case 'rejected':
    case 'expired':
    case 'responded':
      return {
        ...run,
        blocked: null,
        calls: run.calls.filter((call) => call.index !== index),
        results: [...run.results, { index, ref: result.ref }],
      };
  }
}

function evolveDeferred(run: Run, index: number, ref: string): Run {
  return {
    ...run,
    blocked: null,
    calls: run.calls.filter((call) => call.index !== index),
    results: [...run.results, { index, ref }],
  };
}

function settling(run: Run, index: number): Run {
  return {
    ...run,
    calls: run.calls.map((call) =>
      call.index === index && call.approval !== undefined
        ? { ...call, approval: { ...call.approval, isSettling: true } }
        : call,
    ),
  };
}

function evolveReflected(run: Run, unfounded: readonly string[]): Run {
  const reflected: Run = { ...run, blocked: null, isReflected: true };
  if (unfounded.length === 0 || run.revisions >= (run.plan?.revisionsMax ?? 0)) return reflected;
  const text = `Your answer states ${unfounded.join(', ')}, which nothing in this run supports. Look it up or leave it out, then answer again.`;
  const guidance = { kind: 'guidance', id: `perdure:reflect-${run.turn}`, text, principal: 'perdure' } as const;
  return { ...reflected, revisions: run.revisions + 1, waiting: [...run.waiting, guidance] };
}

function evolveTrouble(run: Run, trouble: ActivityTrouble): Run {
  if (trouble.disposition === 'final') return fail(run, trouble);
  const { cause, message, mend } = trouble;
  return { ...run, blocked: { cause, message, mend: mend ?? null } };
}

function fail(run: Run, { cause, message }: ActivityTrouble): Run {
  return { ...run, blocked: null, outcome: { kind: 'failed', cause, message } };
}
