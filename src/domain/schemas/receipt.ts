import type { ReceiptAccount, ReceiptAttempt } from '../run/receipt.ts';
import type { RunRecord } from './run-records.ts';

/** What every attempt of a run cost, and the account that must agree with it: all as it stood at one moment. */
export type RunReceipt = {
  readonly run: RunRecord;
  readonly account: ReceiptAccount | null;
  /** In the order they began. */
  readonly attempts: readonly ReceiptAttempt[];
};
