/** Places where a test may kill, stop or fail a process, in the order in which a run meets them. */
export const FAILPOINTS = [
  'run:admitted',
  'run:perceived',
  'model:before-reserve',
  'model:reserved',
  'model:replied',
  'model:settling',
  'model:settled',
  'effect:before-intent',
  'effect:intending',
  'effect:intended',
  'effect:sending',
  'effect:replied',
  'effect:settling',
  'effect:settled',
  'workflow:task-done',
] as const;

export type FailpointName = (typeof FAILPOINTS)[number];

/** Passes a failpoint. Does nothing unless the process was started with it armed. */
export type Failpoint = (name: FailpointName) => Promise<void>;

/** The failpoint of every process that is not under test. */
export const noFailpoint: Failpoint = async () => undefined;
