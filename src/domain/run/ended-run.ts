import type { RunEnd } from './run-end.ts';
import type { TraceCarrier } from './trace-ids.ts';

/** What workflow code says of a run's end to those who trace it. */
export type EndedRun = {
  readonly tenant: string;
  readonly agent: string;
  readonly end: RunEnd;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly carrier: TraceCarrier;
};
