import type { JsonValue } from '../../domain/json.ts';
import { describeCall } from '../../domain/run/views.ts';
import type { TimelineEntry } from '../../domain/schemas/run-records.ts';
import { formatTable } from './table.ts';
import { formatCost, formatDuration, oneLine } from './units.ts';

/** Writes a run's attempts as a table. */
export function formatTimeline(timeline: readonly TimelineEntry[]): string {
  const [first] = timeline;
  return formatTable(
    [
      { heading: 'at', align: 'right' },
      { heading: 'turn', align: 'right' },
      { heading: 'what' },
      { heading: 'took', align: 'right' },
      { heading: 'tokens', align: 'right' },
      { heading: 'cost', align: 'right' },
      { heading: 'outcome' },
    ],
    timeline.map((entry) => [
      `+${formatDuration(entry.openedAt.getTime() - (first?.openedAt.getTime() ?? 0))}`,
      String(entry.turn),
      nameOf(entry),
      entry.durationMs === null ? '' : formatDuration(entry.durationMs),
      tokensOf(entry),
      costOf(entry),
      outcomeOf(entry),
    ]),
  );
}

/** Writes an attempt as one line, for a terminal that follows the run. */
export function formatEntry(entry: TimelineEntry): string {
  const took = entry.durationMs === null ? '' : formatDuration(entry.durationMs);
  const tokens = tokensOf(entry);
  const cost = costOf(entry);
  const parts = [outcomeOf(entry), took, tokens === '' ? '' : `${tokens} tokens`, cost === '' ? '' : cost];
  return `turn ${entry.turn}  ${nameOf(entry)}  ${parts.filter((part) => part !== '').join(' · ')}`;
}

/** Names a model, a model that summarises, or a tool with its first plain argument. */
function nameOf({ kind, name, args, tier }: TimelineEntry): string {
  if (kind === 'compact') return `compact with ${name}`;
  const of = tier === undefined || tier === null || tier === 'standard' ? '' : ` (${tier})`;
  return kind === 'model' ? `${name}${of}` : oneLine(describeCall({ tool: name, args: idsFirst(args) }));
}

/** A call is best told by the id of what it is about; the database does not keep the order of the arguments. */
function idsFirst(args: JsonValue): JsonValue {
  if (args === null || typeof args !== 'object') return args;
  const members = Object.entries(args);
  return Object.fromEntries(members.toSorted(([a], [b]) => Number(/id$/i.test(b)) - Number(/id$/i.test(a))));
}

function tokensOf({ inputTokens, outputTokens }: TimelineEntry): string {
  if (inputTokens === null && outputTokens === null) return '';
  return `${inputTokens ?? 0} → ${outputTokens ?? 0}`;
}

/** A cost that nobody knows is shown as the most it can be. */
function costOf({ costPico, heldPico, isCostSimulated, outcome }: TimelineEntry): string {
  if (costPico !== null) return formatCost(costPico, isCostSimulated);
  return heldPico === null || outcome === 'open' ? '' : `≤ ${formatCost(heldPico, false)} held`;
}

function outcomeOf({ outcome, attempt, cause, message, fallback }: TimelineEntry): string {
  const which = attempt > 1 ? `, attempt ${attempt}` : '';
  const word = outcome === 'open' ? 'at work' : outcome;
  const instead = typeof fallback === 'string' ? `fallback: ${fallback}` : null;
  const why = [instead, cause, message].filter((part) => part !== null && part !== '').join(': ');
  return `${word}${which}${why === '' ? '' : ` (${oneLine(why).slice(0, 120)})`}`;
}
