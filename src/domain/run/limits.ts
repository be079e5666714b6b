const KIB = 1024;
const SECOND_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;

/**
 * Every bound of the run, with its unit and its reason. Workflow code reads these and the recorded plan, never configuration;
 * a change here changes what replays decide and goes under `patched`.
 */
export const LIMITS = {
  /** Input of a start or a message, in UTF-8 bytes: half of Temporal's payload warning, and an eighth of its 2 MiB error. */
  inputBytesMax: 256 * KIB,
  /** Files that go with one message. Their bytes stay out of history, their references do not. */
  attachmentsMax: 10,
  /** Arguments of a tool call that travel through history; larger ones go by reference. Most calls are under 200 bytes. */
  inlineArgumentBytesMax: 1 * KIB,
  /** Preview of a text in history and in the Web UI, in characters. */
  previewLengthMax: 200,
  /** Output of a tool that the model is shown, in UTF-8 bytes; the rest is cut and said. */
  toolOutputBytesMax: 256 * KIB,
  /** Turns of one run. A run that needs more is a conversation or a mistake. */
  turnsMax: 10_000,
  /** Tool calls of one reply. More in one turn is a model gone wrong, and each is an activity. */
  callsPerTurnMax: 32,
  /** Turns before continue-as-new: replay costs 3 to 6 ms a turn, so a cold recovery stays near a quarter of a second. */
  turnsPerExecution: 50,
  /** Message ids the continuation remembers; older ones are caught by their unique row. 1,000 ids take 20 KB. */
  rememberedMessagesMax: 1_000,
  /** Messages that may wait to be perceived or to be told to the model. A client that outruns the run this far is told to slow down. */
  waitingMessagesMax: 500,
  /** Size of the continuation, in UTF-8 bytes. */
  continuationBytesMax: 64 * KIB,
  /** Length of a message id, in characters. */
  messageIdLengthMax: 200,
  /** Results from outside that wait until their call has begun. A destination sends one; more are mistakes or guesses. */
  earlyResultsMax: 4,
  /** Levels of a result or of edited arguments from outside, so that no function runs out of stack over them. */
  outputDepthMax: 100,
  /** Actions of operators that travel with the run's progress until they are in the audit; a person does not do more in a moment. */
  operatorActionsMax: 20,
  /** Times that an answer which does not fit the output schema is sent back: a model that fails twice in a row does not know how. */
  outputRepairsMax: 1,
  /** What is said of an answer that does not fit, in characters: a few places are enough to mend it. */
  misfitLengthMax: 600,
  /** Rejected signals that `state` shows; the newest. */
  rejectedMessagesShown: 10,
  /** Default time a run may take, waiting included. */
  deadlineMs: 7 * DAY_MS,
  /** Longest deadline: Temporal keeps timers for years, people do not. */
  deadlineMsMax: 366 * DAY_MS,
  /** Equal tool calls in a row before the model is told that it repeats itself. */
  repeatsToGuide: 3,
  /** Equal tool calls in a row before the run ends. */
  repeatsToEnd: 6,
  /** Turns in a row without a new result before the model is told. It may well read twice again what it is about to change. */
  staleTurnsToGuide: 3,
  /** Turns in a row without a new result before the run closes: with the first one as many as equal calls that end a run. */
  staleTurnsToClose: 5,
  /** Results that a run remembers to tell what is new: a full turn of calls. They travel in the continuation, in 12 bytes each. */
  rememberedResultsMax: 32,
  /** Closing calls before the run ends with what it has: one may be spent on calls that are not made any more. */
  closingsMax: 2,
  /** Turns whose mean is what the next one is taken to cost: one cold prompt among them does not end a run. */
  costedTurnsMax: 5,
  /** Earlier runs that must have gone further before their share of successes says anything: of none in twenty the bound is 12 %. */
  worthRunsMin: 20,
  /** Earlier runs that are looked at, the newest: older ones met another world. */
  worthRunsMax: 500,
  /** Steps of the odds that travel with a plan, in some 15 bytes each. */
  worthStepsMax: 24,
  /** Turns by which the next one's time is judged, by the 95th percentile: of fewer the slowest counts, of twenty one may be an exception. */
  measuredTurnsMax: 20,
  /** Time beside the work that a closing call may need: waiting for a worker, and writing the end. */
  closingMarginMs: 2 * SECOND_MS,
  /** Time an activity has beyond its work to write down what became of it while the database is away. */
  settleMs: 65 * SECOND_MS,
  /** How long an activity is retried before the run says that it is blocked. */
  retryMs: 60 * SECOND_MS,
} as const;
