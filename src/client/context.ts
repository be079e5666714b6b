import type { Client } from '@temporalio/client';
import type { AttachmentWriter } from './attachments.ts';
import { ReaderMissing } from './errors.ts';
import type { RunReader } from './run-reader.ts';

/** What every call of a client shares. */
export type ClientContext = {
  readonly temporal: Client;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly reader: RunReader | null;
  readonly attachments: AttachmentWriter | null;
  /** Who acts where a call does not say. */
  readonly principal: string;
  /** Milliseconds that an update or a query may take before the client goes on without a worker. */
  readonly answerMs: number;
};

/**
 * Gives the reader.
 *
 * @throws ReaderMissing when the client has none.
 */
export function readerOf({ reader }: ClientContext, what: string): RunReader {
  if (reader === null) throw new ReaderMissing(what);
  return reader;
}
