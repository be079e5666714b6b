/** A piece of what a model says while it says it. */
export type Delta = { readonly kind: 'text' | 'reasoning'; readonly text: string };

/** Hears each delta of a reply. It neither throws nor waits: nothing of it may slow the call. */
export type Listen = (delta: Delta) => void;

/** Carries what the models of a process say to its readers. Nothing of it makes a call wait or fail. */
export type ReplyStreams = {
  /** Begins the stream of an attempt at a turn's call. */
  readonly open: (tenant: string, runId: string, turn: number) => ReplyStream;
  /** Tells readers that a reply of the run is kept. */
  readonly settled: (runId: string) => void;
  /** Writes what is left, for some seconds at most, and ends. */
  readonly close: () => Promise<void>;
};

/** One attempt's way to its readers. */
export type ReplyStream = {
  readonly say: Listen;
  /** Nothing more is said. */
  readonly end: () => void;
};

/**
 * A place in what the models of a run say. Attempts are numbered by the database's clock: the greater one began later. Sequences count the
 * chunks of an attempt from 1.
 */
export type StreamPosition = { readonly turn: number; readonly attempt: number; readonly sequence: number };

/** One stored piece of an attempt's reply. */
export type StreamChunk = StreamPosition & { readonly delta: Delta };

/** A reply that is kept: no later attempt changes it. */
export type SettledReply = {
  readonly turn: number;
  /** All that the model said to somebody in this turn. */
  readonly text: string;
  /** Whether it is the turn's answer; otherwise the turn goes on with tool calls. */
  readonly isAnswer: boolean;
};

/** What a look at a run's stream found behind a position. */
export type StreamLook = {
  /** In the order of their positions. */
  readonly chunks: readonly StreamChunk[];
  /** In the order of their turns. Empty where they were not asked for. */
  readonly replies: readonly SettledReply[];
  /** Whether the run has ended, so that nothing follows. */
  readonly isOver: boolean;
  /** Whether there is more than one look gives. */
  readonly isFull: boolean;
};

/** What a look is for: chunks alone are cheaper. */
export type LookFor = 'chunks' | 'all';

/** What was heard of a run while nobody looked. */
export type News = { readonly isSettled: boolean };

/** Hears of one run. */
export type Ear = {
  /** Waits for news since the last time, and for so many milliseconds at most. Null when nothing was heard. */
  readonly next: (withinMs: number, signal?: AbortSignal) => Promise<News | null>;
  readonly close: () => void;
};

/** What a reader of a stream is told. Each `position` is where it can go on later. */
export type StreamProgress =
  | {
      readonly kind: 'delta';
      readonly of: Delta['kind'];
      readonly text: string;
      readonly position: StreamPosition;
    }
  /** What was said since the last `end` is void: another attempt says it anew, or nobody does. */
  | { readonly kind: 'reset'; readonly position: StreamPosition }
  /** Something is missing here. The `end` of the turn has the whole text. */
  | { readonly kind: 'gap'; readonly position: StreamPosition }
  /** The turn's reply is settled. It comes once for each turn, with the whole text, which goes before what the deltas made. */
  | ({ readonly kind: 'end'; readonly position: StreamPosition } & SettledReply);

/** Where a run's stream begins. */
export const STREAM_START: StreamPosition = { turn: 1, attempt: 0, sequence: 0 };

/** Separates texts of one reply, between which the model thought or called a tool. */
export const TEXT_SEPARATOR = '\n\n';
