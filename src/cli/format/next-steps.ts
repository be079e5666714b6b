import { formatUsd } from '../../domain/model/price.ts';
import type { RunRecord, TimelineEntry } from '../../domain/schemas/run-records.ts';
import { spellCommand } from '../spell-command.ts';

/** What is known of a run when its next steps are told. */
type Ended = Pick<RunRecord, 'id' | 'end' | 'capPico' | 'heldPico'>;

/** Says what can be done about a run that has ended without what it was asked for, or with money of which nobody knows whether it was paid. */
export function formatNextSteps(run: Ended): readonly string[] {
  const after = afterEnd(run);
  const held =
    run.end === null || run.heldPico === '0'
      ? []
      : [`${spellCommand('budget held')}    lists what is held; say what it cost with budget settle`];
  return [...after, ...held].map((line) => `  ${line}`);
}

function afterEnd({ id, end, capPico }: Ended): readonly string[] {
  const retry = spellCommand(`run retry ${id}`);
  if (end === null) return [];
  switch (end.outcome.kind) {
    case 'budget-exhausted': {
      const { dimension, account } = end.outcome;
      if (account !== undefined) {
        return [`${retry}    takes it up when ${account} has more: ${spellCommand('budget show')}`];
      }
      if (dimension !== 'usd') return [`${retry}    takes it up, with its limits counted anew`];
      const cap = formatUsd(BigInt(capPico));
      return [
        `What was left of ${cap} USD could not bear the next call at its worst.`,
        `${retry}    takes it up, with its cap anew; --limit-usd names another`,
      ];
    }
    case 'failed':
    case 'expired':
      return [`${retry}    takes it up where it stopped, when the reason is gone`];
    case 'completed':
    case 'cancelled':
    case 'refused':
      return [];
  }
}

/**
 * Says that a run waits for a top-up, and how to give it; null where it waits for something else. A single run with nothing to ask waits for
 * nothing else; a conversation does where its last call was refused for its cost.
 *
 * @param run A run that waits, and asks nobody anything. `isHeard` is false where no worker could say whether it asks.
 */
export function formatTopUpWait(
  { id, kind, isHeard }: Pick<RunRecord, 'id' | 'kind'> & { readonly isHeard: boolean },
  timeline: readonly Pick<TimelineEntry, 'outcome' | 'message'>[],
): string | null {
  const last = timeline.at(-1);
  const isRefused = last?.outcome === 'budget-refused';
  if (!isRefused && (kind !== 'single' || !isHeard)) return null;
  const why = isRefused ? (last.message ?? 'the next call costs more than is left') : 'a limit of it is used up';
  return `Waits for a top-up: ${why}\n  ${spellCommand(`run top-up ${id} --usd 0.10`)}    or --tokens, --turns, --tool-calls, --active-seconds`;
}
