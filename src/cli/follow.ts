import type { RunHandle, RunProgress, RunReader } from '../client/index.ts';
import type { TimelineEntry } from '../domain/schemas/run-records.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Cli } from './cli.ts';
import { formatBlocked, formatDeferredCall, formatPendingApproval, formatUnknownEffect } from './format/run.ts';
import { formatTopUpWait } from './format/next-steps.ts';
import { formatEntry } from './format/timeline.ts';
import { formatDuration, oneLine } from './format/units.ts';
import { spellCommand } from './spell-command.ts';

export type FollowTools = {
  readonly cli: Cli;
  readonly reader: RunReader;
  /** Ends following; the run goes on. */
  readonly signal?: AbortSignal;
  /** Set where the run's words are told already: says whether those of a turn have begun. */
  readonly hasSpoken?: (turn: number) => boolean;
  /** Gets every piece of progress, for output that a program reads. */
  readonly onProgress?: (progress: RunProgress) => void;
};

/** Tells on stderr what a run does until it ends. Gives its end, or null when following was called off. */
export async function followToTerminal(handle: RunHandle, tools: FollowTools): Promise<RunEnd | null> {
  const { cli, signal, onProgress, hasSpoken } = tools;
  const startedMs = Date.now();
  // Words overtake the row of their call: that it is at work would only stand in the middle of its sentence.
  const isHeard = ({ kind, turn }: TimelineEntry): boolean => kind === 'model' && hasSpoken?.(turn) === true;
  const say = (text: string): void => cli.say(`${formatDuration(Date.now() - startedMs).padStart(8)}  ${text}`);
  for await (const progress of handle.follow(signal === undefined ? {} : { signal })) {
    onProgress?.(progress);
    switch (progress.kind) {
      case 'began':
        if (progress.entry.outcome === 'open' && !isHeard(progress.entry)) say(formatEntry(progress.entry));
        break;
      case 'finished':
        say(formatEntry(progress.entry));
        break;
      case 'phase':
        say(await describePhase(handle, tools, progress));
        break;
      case 'ended':
        return progress.end;
    }
  }
  return null;
}

async function describePhase(
  handle: RunHandle,
  { reader, hasSpoken }: FollowTools,
  { phase, blocked }: RunProgress & { kind: 'phase' },
): Promise<string> {
  if (blocked !== null) return formatBlocked(handle.id, blocked);
  if (phase === 'paused') return `is paused\n  ${spellCommand(`run resume ${handle.id}`)}`;
  if (phase === 'running') return 'goes on';
  const [unknown] = await reader.effects(null, { agentRunId: handle.id, state: 'unknown' });
  if (phase === 'blocked' && unknown !== undefined) return formatUnknownEffect(unknown);
  const approvals = await reader.approvals(null, { agentRunId: handle.id, state: 'pending' });
  if (approvals.length > 0) return approvals.map(formatPendingApproval).join('\n');
  const heard = await handle.pending().catch(() => null);
  const [question] = (heard ?? []).flatMap((each) => (each.kind === 'question' ? [each.question] : []));
  const deferred = await reader.deferredCalls(null, { agentRunId: handle.id, state: 'waiting' });
  if (question === undefined && deferred.length > 0) return deferred.map(formatDeferredCall).join('\n');
  const topUp = question === undefined ? await topUpWait({ id: handle.id, isHeard: heard !== null }, reader) : null;
  if (topUp !== null) return topUp;
  const last = hasSpoken === undefined ? null : 'waits for a person';
  const words = question === undefined ? (last ?? (await lastWords(handle))) : `asks: ${oneLine(question)}`;
  return `${words}\n  ${spellCommand(`run send ${handle.id} "your answer"`)}`;
}

async function topUpWait(
  { id, isHeard }: { readonly id: string; readonly isHeard: boolean },
  reader: RunReader,
): Promise<string | null> {
  const tenant = await reader.findTenant(id);
  const run = tenant === null ? null : await reader.run(tenant, id);
  if (tenant === null || run === null) return null;
  return formatTopUpWait({ ...run, isHeard }, await reader.timeline(tenant, id));
}

/** A conversation that waits has said something; a run that waits for a top-up may have not. */
async function lastWords(handle: RunHandle): Promise<string> {
  const answer = await handle.answer();
  return answer === null ? 'waits for a person' : `says: ${oneLine(answer)}`;
}
