/** Why a run failed or is blocked. A closed list: dashboards, groups and documents rely on it. */
export const CAUSES = [
  'model-error',
  'model-rate-limited',
  'model-authentication',
  'model-quota',
  'tool-error',
  'tool-timeout',
  'tool-missing',
  'validation',
  'guardrail-block',
  'hallucination',
  'human-timeout',
  'infra',
] as const;

export type Cause = (typeof CAUSES)[number];

/**
 * What can be done about a failure. `transient` heals by itself; `mendable` needs a person and blocks the run until the cause is
 * gone; `final` belongs to this very request, and the same request would fail again.
 */
export type Disposition = 'transient' | 'mendable' | 'final';

/** First detail of every failure an activity throws; its `type` is the cause. */
export type FailureDetail = {
  readonly disposition: Disposition;
  /** What a person should do, as a sentence or a command. */
  readonly mend?: string;
};
