import type { Usage } from '../../domain/model/usage.ts';
import type { Cause } from '../../domain/run/cause.ts';

/** What a failure may say about the model that was called: names, never a key. */
export type ProviderContext = {
  /** `provider:model`. */
  readonly id: string;
  /** Environment variable that holds the key; null where none is needed. */
  readonly keyName: string | null;
};

/**
 * Why a reply cannot be used: `interrupted` has no end, `length` was cut at outputTokensMax, `context-full` where the model's context
 * ended, `content-filter` was stopped by the provider or refused by the model, `empty` has neither text nor tool calls, `too-large` is beyond what a reply may weigh,
 * `other` ended for a reason that is not a proper stop.
 */
export type ReplyProblem =
  'interrupted' | 'length' | 'context-full' | 'content-filter' | 'empty' | 'too-large' | 'other';

/**
 * The provider answered, but not with a whole reply. The call may have been charged: `usage` is what the provider said, where
 * it said it. Not for a request that the provider refused.
 */
export class ModelReplyError extends Error {
  override readonly name = 'ModelReplyError';
  readonly sent = true;
  readonly kind: ReplyProblem;
  readonly provider: ProviderContext;
  readonly usage: Usage | null;

  constructor(kind: ReplyProblem, provider: ProviderContext, usage: Usage | null) {
    super(`The reply of ${provider.id} cannot be used: ${kind}`);
    this.kind = kind;
    this.provider = provider;
    this.usage = usage;
  }
}

/** A call of a model failed; `cause` is what was thrown. It says where a bare network error comes from. */
export class ModelCallError extends Error {
  override readonly name = 'ModelCallError';
  readonly provider: ProviderContext;

  constructor(provider: ProviderContext, cause: unknown) {
    super(`The call of ${provider.id} failed`, { cause });
    this.provider = provider;
  }
}

/** The provider reported an error after it had begun to reply, so the call may have been charged. */
export class ModelStreamError extends Error {
  override readonly name = 'ModelStreamError';
  /** The error as the provider wrote it. */
  readonly body: unknown;
  /** What was asked, to keep its words out of messages. */
  readonly requestBodyValues: unknown;

  constructor(body: unknown, requestBodyValues: unknown) {
    super('The provider reported an error inside its reply');
    this.body = body;
    this.requestBodyValues = requestBodyValues;
  }
}

/** This worker cannot call the model until a person changes its configuration: a missing key, an unknown model. Nothing was sent. */
export class ModelUnavailable extends Error {
  override readonly name = 'ModelUnavailable';
  readonly failureCause: Cause;
  readonly mend: string;

  constructor(failureCause: Cause, message: string, mend: string) {
    super(message);
    this.failureCause = failureCause;
    this.mend = mend;
  }
}

/** A provider's package made no request of what it was given; `cause` is what it threw. Nothing was sent. */
export class RequestNotMade extends Error {
  override readonly name = 'RequestNotMade';

  constructor(cause: unknown) {
    super('The request could not be made', { cause });
  }
}

/** A scripted model was called more often than its script has replies, or a reply was left over. A test's mistake. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';
}
