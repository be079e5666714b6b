import type { Delta } from '../domain/stream/stream.ts';

/** What a process tells its stream thread. Streams are named by numbers that are used once. */
export type StreamOrder =
  | {
      readonly kind: 'open';
      readonly stream: number;
      readonly tenant: string;
      readonly runId: string;
      readonly turn: number;
    }
  | { readonly kind: 'say'; readonly stream: number; readonly delta: Delta }
  | { readonly kind: 'end'; readonly stream: number }
  | { readonly kind: 'settled'; readonly runId: string }
  | { readonly kind: 'close' };

/** What the thread tells the process: the message of an error of the database. */
export type StreamNotice = { readonly trouble: string };
