import type { Tier } from '../model/model-policy.ts';
import type { EffectClass } from '../tool/contract.ts';
import type { ExitPlan } from './exit-policy.ts';
import type { RunLimits } from '../release/release.ts';

/** What the run needs to know of a tool to call it, pinned at admission. */
export type PlannedTool = {
  /** Activity type: the tool's name and major version. */
  readonly activity: string;
  /** Hash of the contract; a worker that holds another refuses. */
  readonly contract: string;
  readonly effect: EffectClass;
  readonly execution: 'queued' | 'local';
  readonly taskQueue: string;
  /** Milliseconds one call may take; for a write the send deadline. */
  readonly timeoutMs: number;
};

/**
 * What `admit` decided, recorded once: workflow code reads no limit from configuration. It travels in the continuation.
 * Tools are keyed by the name the model uses.
 */
export type RunPlan = {
  readonly release: string;
  readonly limits: RunLimits;
  readonly tools: { readonly [name: string]: PlannedTool };
  /** Task queue of model calls. */
  readonly modelQueue: string;
  /** Milliseconds that the models which an attempt may ask have together; each has an equal share. */
  readonly modelTimeoutMs: number;
  /** Turns before continue-as-new. */
  readonly turnsPerExecution: number;
  /** Whether the release asks for the reflect activity, and how often an answer may be sent back. */
  readonly revisionsMax: number | null;
  /** What ends the run before its model does. Missing in plans of builds before early exits. */
  readonly exit?: ExitPlan;
  /** Tier that answers, where the start of the run asked for one or the release uses another than standard. */
  readonly tier?: Tier;
  /** Whether the run keeps back what its last answer costs. Missing in plans of builds that ended without one. */
  readonly holdsBack?: true;
  /** Whether an answer of the last turn that does not fit the output schema is sent back too. Missing in plans of builds before, and where there is no schema. */
  readonly repairsLast?: true;
};
