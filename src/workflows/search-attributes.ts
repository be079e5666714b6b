import type { SearchAttributeUpdatePair } from '@temporalio/common';
import type { Phase } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Run } from '../domain/run/run.ts';

const release = { name: 'PerdureRelease', type: 'KEYWORD' } as const;
const phaseKey = { name: 'PerdurePhase', type: 'KEYWORD' } as const;
const outcome = { name: 'PerdureOutcome', type: 'KEYWORD' } as const;
const causeKey = { name: 'PerdureCause', type: 'KEYWORD' } as const;
const costUsd = { name: 'PerdureCostUsd', type: 'DOUBLE' } as const;

/** What runs of a release are found by. */
export function releaseSearchAttributes(id: string): SearchAttributeUpdatePair[] {
  return [{ key: release, value: id }];
}

/** What lists and alerts find a run by when its phase changes. A cause is there only while the run is blocked. */
export function phaseSearchAttributes(phase: Phase, { blocked }: Run): SearchAttributeUpdatePair[] {
  return [
    { key: phaseKey, value: phase },
    { key: causeKey, value: blocked?.cause ?? null },
  ];
}

/** What an ended run is found by. */
export function endSearchAttributes(end: RunEnd): SearchAttributeUpdatePair[] {
  return [
    { key: phaseKey, value: 'ended' },
    { key: outcome, value: end.outcome.kind },
    { key: causeKey, value: end.outcome.kind === 'failed' ? end.outcome.cause : null },
    ...costSearchAttributes(end.costPico),
  ];
}

/** What a run has cost, for sums over lists; money that is charged is never a float. */
export function costSearchAttributes(costPico: string): SearchAttributeUpdatePair[] {
  return [{ key: costUsd, value: Number(costPico) / 1e12 }];
}
