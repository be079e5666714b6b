import { formatUsd } from '../../domain/model/price.ts';
import type { CacheShare } from '../../domain/run/cache-share.ts';
import type { ReceiptAttempt, ReceiptSums } from '../../domain/run/receipt.ts';
import type { RunReceipt } from '../../domain/schemas/receipt.ts';
import type { TemporalActions } from '../receipt/temporal-actions.ts';
import { formatCacheShare, formatStanding } from './run.ts';
import { formatTable } from './table.ts';
import { formatCost, formatCount, oneLine } from './units.ts';

/** All that a receipt shows. */
export type ReceiptView = RunReceipt & {
  readonly cache: CacheShare;
  readonly sums: ReceiptSums;
  readonly temporal: TemporalActions;
};

/** Writes a receipt for a person. Money is exact to the last digit, in USD. */
export function formatReceipt(view: ReceiptView): string {
  const { run, attempts, temporal } = view;
  return [
    headOf(view),
    attempts.length === 0 ? 'No attempt was made.' : formatAttempts(attempts),
    formatSums(view),
    temporal.kind === 'counted'
      ? `Temporal: ${formatCount(temporal.actions, 'action')} in the history of ${formatCount(temporal.executions, 'execution')}; what stands in no history is billed too: heartbeats, queries, refused updates`
      : `Temporal: actions are not known, ${temporal.why}`,
    verdictOf(view),
    ...(run.end === null ? ['The run goes on: this is how it stands now.'] : []),
  ].join('\n\n');
}

function headOf({ run, account, cache, sums }: ReceiptView): string {
  const lines = [
    `receipt of run ${run.id} · ${run.agent} · ${formatStanding(run)}`,
    `  ${formatCost(run.costPico, run.isCostSimulated)} · ${formatCount(run.tokens, 'token')} · cap ${formatCost(account?.capPico ?? run.capPico, false)}`,
    ...(run.isCostSimulated ? [] : formatCacheShare(cache)),
  ];
  if (run.isCostSimulated) lines.push('  simulated: nothing was charged, this is what a model of that size would cost');
  if (BigInt(sums.afterEndPico) > 0n) {
    lines.push(`  ${formatCost(sums.afterEndPico, run.isCostSimulated)} of it became known after the end of the run`);
  }
  return lines.join('\n');
}

function formatAttempts(attempts: readonly ReceiptAttempt[]): string {
  return formatTable(
    [
      { heading: 'turn', align: 'right' },
      { heading: 'kind' },
      { heading: 'what' },
      { heading: 'attempt', align: 'right' },
      { heading: 'outcome' },
      { heading: 'input', align: 'right' },
      { heading: 'cached', align: 'right' },
      { heading: 'output', align: 'right' },
      { heading: 'reasoning', align: 'right' },
      { heading: 'USD', align: 'right' },
      { heading: 'reservation' },
      { heading: 'worker' },
    ],
    attempts.map((attempt) => [
      String(attempt.turn),
      attempt.kind,
      oneLine(attempt.name),
      String(attempt.attempt),
      attempt.cause === null ? attempt.outcome : `${attempt.outcome} (${attempt.cause})`,
      ...[attempt.inputTokens, attempt.cacheReadTokens, attempt.outputTokens, attempt.reasoningTokens].map((tokens) =>
        tokens === null ? '' : String(tokens),
      ),
      costOf(attempt),
      attempt.reservation?.state ?? 'none',
      attempt.worker ?? '',
    ]),
  );
}

/** What an attempt cost, or at most can have cost. */
function costOf({ reservation }: ReceiptAttempt): string {
  if (reservation === null) return '';
  if (reservation.actualPico !== null) return formatUsd(BigInt(reservation.actualPico));
  return `≤ ${formatUsd(BigInt(reservation.worstPico))}`;
}

function formatSums({ sums }: ReceiptView): string {
  return formatTable(
    [
      { heading: 'reservations' },
      { heading: 'attempts', align: 'right' },
      { heading: 'tokens', align: 'right' },
      { heading: 'USD', align: 'right' },
    ],
    sums.states.map(({ state, attempts, tokens, pico }) => [
      state,
      String(attempts),
      tokens.toLocaleString('en-US'),
      `${attempts > 0 && (state === 'held' || state === 'reserved') ? '≤ ' : ''}${formatUsd(BigInt(pico))}`,
    ]),
  );
}

function verdictOf({ run, account, sums }: ReceiptView): string {
  if (sums.differences.length > 0) {
    return [
      'It does not add up:',
      ...sums.differences.map(({ row, problem }) => `  ${oneLine(row)}: ${oneLine(problem)}`),
    ].join('\n');
  }
  const held =
    run.heldPico === '0'
      ? 'nothing is held'
      : `attempts and account hold ${formatCost(account?.heldPico ?? run.heldPico, run.isCostSimulated)} beside`;
  return `It adds up: the settled attempts come to ${formatUsd(BigInt(run.costPico))} USD and ${formatCount(run.tokens, 'token')}, which is what the run cost and what its budget account has spent; ${held}.`;
}
