export type { Attachment, AttachmentPlace, AttachmentWriter } from './attachments.ts';
export type { TextInput } from './check-input.ts';
export { connect, type ConnectedClient, type ConnectOptions } from './connect.ts';
export { createClient, type ClientSetup, type PerdureClient } from './create-client.ts';
export {
  AttachmentsMissing,
  InvalidInput,
  MessageRejected,
  NoWorkerAnswered,
  ReaderMissing,
  RunNotFound,
  RunWithoutEnd,
  ScheduleExists,
  ScheduleNotFound,
  WebhookRefused,
} from './errors.ts';
export type { FollowOptions, RunProgress } from './follow-run.ts';
export type { StreamPosition, StreamProgress } from '../domain/stream/stream.ts';
export type { StreamOptions } from './follow-stream.ts';
export type { ReplyStreamProgress } from './stream-reply.ts';
export type { RetryOptions } from './retry-run.ts';
export type { Reply, ReplyProgress, ReplyUsage, SentMessage } from './reply.ts';
export type { DecideOptions, MessageOptions, OutputSchema, RunHandle } from './run-handle.ts';
export type { RunReader, StreamSource } from './run-reader.ts';
export type { Overlap, ScheduleName, ScheduleOptions, Schedules, ScheduleSummary, ScheduleView } from './schedules.ts';
export type { FindConversationOptions, SendOptions } from './send.ts';
export type { SendReceipt } from './send-message.ts';
export type { StartOptions } from './start-run.ts';
export {
  type VerifiedWebhook,
  verifyWebhook,
  WEBHOOK_BODY_BYTES_MAX,
  type WebhookRequest,
  type WebhookStartOptions,
} from './webhooks.ts';
