import type { Tier } from '../model/model-policy.ts';
import type { RunLimits } from '../release/release.ts';

/** What a run may touch. The mode changes what the effect firewall lets through, nothing else. */
export type RunMode = 'live' | 'shadow' | 'evaluation' | 'counterfactual' | 'fork';

/** `single` ends with the first answer; a `conversation` waits for the next message. */
export type RunKind = 'single' | 'conversation';

/** The input of the workflow: what the client decided before the run exists. */
export type RunStart = {
  readonly tenant: string;
  /** Whom the run is about; its words are kept under this scope. Default: the run itself. */
  readonly subject?: string;
  readonly principal: string;
  readonly agent: string;
  readonly input: string;
  /** References of the files that go with the input. */
  readonly attachments?: readonly string[];
  /** Key of the message that `input` is, where it came as one of a conversation: it counts once, like every other message. */
  readonly inputKey?: string;
  /** Run whose transcript this one goes on with: the part of the conversation that ended before. */
  readonly previous?: string;
  readonly startKey: string;
  readonly kind: RunKind;
  readonly mode: RunMode;
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number;
  /** Lower limits than the plan's; higher ones have no effect. */
  readonly limits?: Partial<RunLimits>;
  /** Tier whose model answers, in place of the one that the release uses. */
  readonly tier?: Tier;
  /** Whether someone can be asked when a limit is used up: the run then waits for a top-up instead of ending. */
  readonly whenExhausted: 'wait' | 'end';
  /**
   * Set where the run takes up one that has ended. `input` is then the ended run's own where it may never have been read and Temporal
   * still had it, else empty.
   */
  readonly retryOf?: RetryOf;
};

export type RetryOf = {
  readonly runId: string;
  /** The first turn that is made anew. Default: the run goes on where it stopped. */
  readonly fromTurn?: number;
};

/** Names the subject of a run that is about nobody else: its words are kept on their own. */
export function subjectOfRun(id: string): string {
  return `run ${id}`;
}
