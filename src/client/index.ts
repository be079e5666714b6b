export type { TextInput } from './check-input.ts';
export { connect, type ConnectedClient, type ConnectOptions } from './connect.ts';
export { createClient, type ClientSetup, type PerdureClient } from './create-client.ts';
export {
  InvalidInput,
  MessageRejected,
  NoWorkerAnswered,
  ReaderMissing,
  RunNotFound,
  RunWithoutEnd,
} from './errors.ts';
export type { FollowOptions, RunProgress } from './follow-run.ts';
export type { RetryOptions } from './retry-run.ts';
export type { DecideOptions, MessageOptions, RunHandle } from './run-handle.ts';
export type { RunReader } from './run-reader.ts';
export type { SendReceipt } from './send-message.ts';
export type { StartOptions } from './start-run.ts';
