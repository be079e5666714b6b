import { type CacheShare, cacheShareOf } from '../../domain/run/cache-share.ts';
import type { Outcome, RunEnd } from '../../domain/run/run-end.ts';
import type { Blocked, Throttle } from '../../domain/run/run.ts';
import type { RejectedMessage } from '../../domain/run/views.ts';
import type {
  ApprovalRecord,
  DeferredRecord,
  EffectRecord,
  RunRecord,
  TimelineEntry,
} from '../../domain/schemas/run-records.ts';
import type { RunMeans } from '../run-means.ts';
import { formatMeans } from './means.ts';
import { formatNextSteps, formatTopUpWait } from './next-steps.ts';
import { formatTimeline } from './timeline.ts';
import { formatCost, formatCount, formatDuration, formatMoment, oneLine, plain } from './units.ts';
import { respell, spellCommand } from '../spell-command.ts';
import { inWordsOfPeople } from '../words-of-people.ts';

/** All that is shown of a run. */
export type RunView = {
  readonly run: RunRecord;
  readonly timeline: readonly TimelineEntry[];
  readonly answer: string | null;
  readonly approvals: readonly ApprovalRecord[];
  readonly effects: readonly EffectRecord[];
  readonly deferred: readonly DeferredRecord[];
  /** Messages that the run has refused; null where no worker could tell. */
  readonly rejected: readonly RejectedMessage[] | null;
  /** The rate limit that the run waits for; null where it waits for none, or no worker could tell. */
  readonly throttle?: Throttle | null;
  /** What the run asks the person it works for; null where it asks nothing, or no worker could tell. */
  readonly question: string | null;
  /** Models, budgets and limits of the run. */
  readonly means?: RunMeans;
  readonly webUi: string | null;
};

/** Writes a run for a person. */
export function formatRun(view: RunView): string {
  const { run, timeline, answer, approvals, effects, deferred, rejected, throttle = null, question, webUi } = view;
  // What plays inside the worker has no cache.
  const cache = run.isCostSimulated ? [] : formatCacheShare(cacheShareOf(timeline));
  const blocks = [[headOf(run), ...cache].join('\n')];
  if (timeline.length > 0) blocks.push(formatTimeline(timeline));
  if (view.means !== undefined) blocks.push(...formatMeans(view.means));
  const pending = approvals.filter((approval) => approval.state === 'pending');
  blocks.push(...pending.map(formatPendingApproval));
  blocks.push(...deferred.filter(({ state }) => state === 'waiting').map(formatDeferredCall));
  if (question !== null) {
    blocks.push(`Asks: ${oneLine(question)}\n  ${spellCommand(`run send ${run.id} "your answer"`)}`);
  }
  const isAsking = pending.length > 0 || question !== null || deferred.some(({ state }) => state === 'waiting');
  if (run.phase === 'waiting' && !isAsking) {
    const topUp = formatTopUpWait({ ...run, isHeard: rejected !== null }, timeline);
    if (topUp !== null) blocks.push(topUp);
  }
  if (throttle !== null) {
    blocks.push(
      `Waits for the ${throttle.limit}; asks again at ${formatMoment(new Date(throttle.untilAt))}\n  ${spellCommand('limits show')}`,
    );
  }
  const unknown = run.end === null ? effects.filter((effect) => effect.state === 'unknown') : [];
  blocks.push(...unknown.map(formatUnknownEffect));
  blocks.push(
    ...(rejected ?? []).map(
      ({ kind, problem }) => `Refused a message (${inWordsOfPeople(kind)}): ${oneLine(inWordsOfPeople(problem))}`,
    ),
  );
  if (run.blocked !== null) blocks.push(formatBlocked(run.id, run.blocked));
  const steps = formatNextSteps(run);
  if (steps.length > 0) blocks.push(steps.join('\n'));
  if (answer !== null) blocks.push(`Answer\n${indent(plain(answer))}`);
  if (webUi !== null) blocks.push(`Web UI  ${webUi}`);
  return blocks.join('\n\n');
}

/** Says in a few words how a run stands. */
export function formatStanding(run: Pick<RunRecord, 'end' | 'phase'>): string {
  if (run.end === null) return run.phase;
  const early = run.end.exit === undefined ? '' : `, early: ${run.end.exit.reason}`;
  return `${formatOutcome(run.end.outcome)}${early}`;
}

/** Says in a few words how a run ended. */
export function formatOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'completed':
    case 'expired':
      return outcome.kind;
    case 'failed':
      return `failed (${outcome.cause}): ${oneLine(outcome.message)}`;
    case 'cancelled':
    case 'refused':
      // Temporal's own cancellation gives no other reason than its name.
      if (outcome.reason === outcome.kind) return outcome.kind;
      return `${outcome.kind}: ${oneLine(outcome.reason)}`;
    case 'budget-exhausted':
      if (outcome.account !== undefined)
        return `budget-exhausted (${outcome.dimension} of ${oneLine(outcome.account)})`;
      return `budget-exhausted (${outcome.dimension})`;
  }
}

/** Says what a run has used. */
export function formatUse(
  use: Pick<RunEnd, 'turns' | 'toolCalls' | 'tokens' | 'costPico'>,
  isCostSimulated: boolean,
): string {
  return [
    formatCost(use.costPico, isCostSimulated),
    formatCount(use.tokens, 'token'),
    formatCount(use.turns, 'turn'),
    formatCount(use.toolCalls, 'tool call'),
  ].join(' · ');
}

/** Says what of the input came from the providers' caches; nothing where there was no input. */
export function formatCacheShare({ inputTokens, cacheWriteTokens, readPerMille }: CacheShare): readonly string[] {
  if (inputTokens === 0) return [];
  const share = `${(readPerMille / 10).toFixed(1)} % of ${formatCount(inputTokens, 'input token')} from the cache`;
  return [`  ${share}, ${cacheWriteTokens.toLocaleString('en-US')} written to it`];
}

/** Shows what a person is asked, and the commands that answer. */
export function formatPendingApproval({ id, tool, args, rule, deadlineAt }: ApprovalRecord): string {
  return [
    `Waits for approval of ${tool} (${rule}), until ${formatMoment(deadlineAt)}`,
    indent(plain(JSON.stringify(args))),
    `  ${spellCommand(`approve decide ${id} --approve`)}`,
    `  ${spellCommand(`approve decide ${id} --reject "reason"`)}`,
  ].join('\n');
}

/** Shows which result from outside is awaited, and the command that gives it. */
export function formatDeferredCall({ token, tool, note, deadlineAt }: DeferredRecord): string {
  return [
    `Waits for the result of ${tool}, until ${formatMoment(deadlineAt)}`,
    ...(typeof note === 'string' ? [indent(plain(note))] : []),
    `  ${spellCommand(`tool complete ${token} --output 'JSON'`)}`,
  ].join('\n');
}

/** Says what blocks a run and what mends it. */
export function formatBlocked(runId: string, { cause, message, mend }: Blocked): string {
  return [
    `Blocked (${cause}): ${respell(oneLine(message))}`,
    `  ${respell(oneLine(mend ?? 'It goes on by itself when the cause is gone.'))}`,
    `  ${spellCommand(`run retry ${runId}`)}    tries again at once`,
  ].join('\n');
}

/** Writes an effect that nobody knows of, and how to settle it. */
export function formatUnknownEffect({ key, tool }: EffectRecord): string {
  return [
    `Nobody knows whether ${tool} happened. Look at its destination, then say what you found:`,
    `  ${spellCommand(`effect resolve ${key} --as succeeded --reason "what you saw"`)}`,
    `  ${spellCommand(`effect resolve ${key} --as failed --reason "what you saw"`)}`,
  ].join('\n');
}

function headOf(run: RunRecord): string {
  const lastMs = (run.endedAt ?? new Date()).getTime();
  const forWhat =
    run.end === null ? 'calls that are at work or whose cost is not known' : 'calls whose cost is not known';
  const held = run.heldPico === '0' ? '' : ` · ${formatCost(run.heldPico, false)} held for ${forWhat}`;
  return [
    `run ${run.id} · ${run.agent} · ${formatStanding(run)}`,
    `  ${formatUse(run, run.isCostSimulated)}${held}`,
    `  ${formatMoment(run.createdAt)} · ${formatDuration(lastMs - run.createdAt.getTime())}${run.end === null ? ' so far' : ''} · cap ${formatCost(run.capPico, false)}`,
    `  ${run.kind} · tenant ${run.tenant} · started by ${oneLine(run.principal)} · release ${run.release}`,
    ...(run.retryOf === null ? [] : [`  retry of ${run.retryOf.id} from turn ${run.retryOf.fromTurn}`]),
    ...(run.retriedAs.length === 0 ? [] : [`  retried as ${run.retriedAs.join(', ')}`]),
  ].join('\n');
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
