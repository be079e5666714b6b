import { APICallError } from '@ai-sdk/provider';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CAUSES, type Cause, type Disposition, type FailureDetail } from '../domain/run/cause.ts';
import { fieldOf, networkErrorOf, type NetworkError } from './model/error-chain.ts';
import {
  ModelCallError,
  ModelReplyError,
  ModelStreamError,
  ModelUnavailable,
  RequestNotMade,
  ScriptError,
  type ProviderContext,
} from './model/model-errors.ts';
import { classifyReport, type Verdict } from './model/provider-verdict.ts';
import { readProviderReport, type ProviderReport } from './model/provider-report.ts';
import { echoes, safeMessage } from './model/safe-message.ts';
import { classifySqlState, isBrokenConnection, isSqlState } from './sql-state.ts';

/** What happened, in the words that the rest of Perdure uses. */
export type Failure = {
  readonly cause: Cause;
  readonly disposition: Disposition;
  /** One line for a person, at most 300 characters, without prompt, transcript or secret. */
  readonly message: string;
  /** What a person should do. */
  readonly mend?: string;
  /** What the provider asks to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /**
   * `no` when it is certain that the other side did no work on the request: it was not sent, or was refused at the door.
   * Money held for the call can then be released.
   */
  readonly sent: 'no' | 'maybe';
  /** The model cannot hold the prompt: a shorter one may pass. */
  readonly isTooLong?: true;
  /** The provider does not have the model, or not for this key: another may do the work. */
  readonly isNotFound?: true;
  /** The model has answered, with what cannot be read: its provider is there. */
  readonly isAnswer?: true;
};

/**
 * Classifies what an activity caught. The only place that does; nothing else looks at statuses, codes or messages.
 * Cancellations are no failures: let them through before this.
 */
export function classify(error: unknown): Failure {
  if (error instanceof ApplicationFailure) return fromApplicationFailure(error);
  if (error instanceof ModelUnavailable) return fromUnavailable(error);
  if (error instanceof ModelReplyError) return fromReply(error);
  if (error instanceof ModelCallError) return fromModel(error.cause, error.provider);
  if (APICallError.isInstance(error)) return fromModel(error, { id: 'The model', keyName: null });
  if (nameOf(error) === 'ToolUnreachable') return fromUnreachableTool(error as Error);
  return fromDatabase(error) ?? fromConnection(error) ?? unexpected(error);
}

/**
 * Classifies what a tool threw. Whatever it is, it is the tool's: an error that looks like one of our database or of a provider must not
 * end the run. Not for ToolRefusal, which is a result.
 */
export function classifyTool(error: unknown): Failure {
  if (isSecretMissing(error)) {
    const mend = 'Set the secret in the environment of the worker and start it again.';
    return { cause: 'tool-error', disposition: 'mendable', message: safeMessage(messageOf(error)), mend, sent: 'no' };
  }
  if (nameOf(error) === 'ToolUnreachable') return fromUnreachableTool(error as Error);
  const message = safeMessage(messageOf(error));
  const cause = nameOf(error) === 'TimeoutError' ? 'tool-timeout' : 'tool-error';
  return { cause, disposition: 'transient', message, sent: 'maybe' };
}

/** Tells whether a tool asked for a secret that its worker does not have: only a person can mend that, so the run waits. */
export function isSecretMissing(error: unknown): boolean {
  return nameOf(error) === 'SecretMissing';
}

/** Makes the failure that an activity throws: its type is the cause, its first detail the disposition. */
export function toApplicationFailure(
  failure: Failure,
  { retryable }: { readonly retryable: boolean },
): ApplicationFailure {
  const detail: FailureDetail = {
    disposition: failure.disposition,
    ...(failure.mend === undefined ? {} : { mend: failure.mend }),
  };
  const thrown = ApplicationFailure.create({
    message: failure.message,
    type: failure.cause,
    details: [detail],
    nonRetryable: !retryable,
    // Providers refuse and people forget keys: that is a run's business. Trouble of our own must show up in logs and metrics.
    ...(failure.cause === 'infra' ? {} : { category: ApplicationFailureCategory.BENIGN }),
    ...(failure.retryAfterMs === undefined ? {} : { nextRetryDelay: failure.retryAfterMs }),
  });
  // Where it was thrown is always here; the frames would only carry this machine's paths into every history.
  thrown.stack = `${thrown.name}: ${thrown.message}`;
  return thrown;
}

/** Keeps what was classified already, so that a second look changes nothing. */
function fromApplicationFailure(error: ApplicationFailure): Failure {
  const cause = CAUSES.find((known) => known === error.type);
  const detail = error.details?.[0] as FailureDetail | undefined;
  if (cause === undefined) return unexpected(error);
  return {
    cause,
    disposition: detail?.disposition ?? (error.nonRetryable === true ? 'final' : 'transient'),
    message: safeMessage(error.message),
    ...(detail?.mend === undefined ? {} : { mend: detail.mend }),
    ...(typeof error.nextRetryDelay === 'number' ? { retryAfterMs: error.nextRetryDelay } : {}),
    sent: 'maybe',
  };
}

function fromUnavailable({ failureCause, message, mend }: ModelUnavailable): Failure {
  return { cause: failureCause, disposition: 'mendable', message: safeMessage(message), mend, sent: 'no' };
}

function fromReply({ kind, provider: { id } }: ModelReplyError): Failure {
  switch (kind) {
    case 'interrupted':
      return replyFailure('model-error', 'transient', `The reply of ${id} ended in the middle`);
    case 'empty':
      return replyFailure('model-error', 'transient', `The reply of ${id} has neither text nor tool calls`);
    case 'other':
      return replyFailure('model-error', 'transient', `The reply of ${id} ended without a proper stop reason`);
    case 'too-large':
      return replyFailure('model-error', 'final', `The reply of ${id} is larger than a reply can be`);
    case 'context-full': {
      const full = replyFailure('validation', 'final', `The reply of ${id} ended where the model's context is full`);
      return { ...full, isTooLong: true };
    }
    case 'content-filter':
      return replyFailure('guardrail-block', 'final', `${id} stopped its reply for its content`);
    case 'length': {
      const cut = replyFailure('model-error', 'final', `The reply of ${id} was cut at outputTokensMax: raise it`);
      return { ...cut, mend: 'Raise outputTokensMax of the model in the agent, or ask it for less in one turn.' };
    }
  }
}

function replyFailure(cause: Cause, disposition: Disposition, message: string): Failure {
  return { cause, disposition, message: safeMessage(message), sent: 'maybe' };
}

/** The package of a provider refuses a request before it is sent: a kind of file that the provider does not read, a part in the wrong place. */
const REFUSED_HERE: ReadonlySet<string> = new Set(['AI_UnsupportedFunctionalityError', 'AI_InvalidPromptError']);

/** They name what is refused: a function, or an option. */
const QUOTABLE: ReadonlySet<string> = new Set(['AI_UnsupportedFunctionalityError', 'AI_InvalidArgumentError']);

function fromModel(error: unknown, provider: ProviderContext): Failure {
  // A refusal is one even where the connection broke while its words were read.
  if (APICallError.isInstance(error) && (error.statusCode ?? 0) >= 400) return fromApiCall(error, provider);
  const network = networkErrorOf(error);
  if (network !== null) return fromNetwork('model-error', `${provider.id} could not be reached`, network);
  if (error instanceof ModelStreamError) {
    const report = readProviderReport(null, {}, error.body, Date.now());
    return { ...fromReport(report, provider, error.requestBodyValues), sent: 'maybe' };
  }
  if (error instanceof ScriptError) {
    return { cause: 'model-error', disposition: 'final', message: safeMessage(error.message), sent: 'no' };
  }
  const isMade = !(error instanceof RequestNotMade);
  const name = nameOf(isMade ? error : error.cause);
  if (!isMade || REFUSED_HERE.has(name)) {
    // Others quote the prompt.
    const said = QUOTABLE.has(name) ? `: ${messageOf(isMade ? error : error.cause)}` : '';
    const message = safeMessage(`${provider.id} cannot be sent this request (${name})${said}`);
    return { cause: 'validation', disposition: 'final', message, sent: 'no' };
  }
  return {
    cause: 'model-error',
    disposition: 'transient',
    message: `The call of ${provider.id} ${howItFailed(name)}`,
    sent: 'maybe',
  };
}

function howItFailed(name: string): string {
  if (name === 'TimeoutError') return 'took longer than a call may (PERDURE_MODEL_TIMEOUT_MS)';
  return name === 'AbortError' ? 'was stopped' : `failed (${name})`;
}

function fromApiCall(error: APICallError, provider: ProviderContext): Failure {
  const report = readProviderReport(
    error.statusCode ?? null,
    error.responseHeaders ?? {},
    error.responseBody ?? error.data ?? { message: error.message },
    Date.now(),
  );
  return fromReport(report, provider, error.requestBodyValues);
}

function fromReport(report: ProviderReport, provider: ProviderContext, asked: unknown): Failure {
  const verdict = classifyReport(report, provider);
  const { retryAfterMs } = report;
  return {
    cause: verdict.cause,
    disposition: verdict.disposition,
    message: safeMessage(describe(verdict, report, provider, asked)),
    ...(verdict.mend === undefined ? {} : { mend: verdict.mend }),
    ...(retryAfterMs === null || verdict.disposition !== 'transient' ? {} : { retryAfterMs }),
    sent: verdict.isFree ? 'no' : 'maybe',
    ...(verdict.isTooLong === true ? { isTooLong: true } : {}),
    ...(verdict.isNotFound === true ? { isNotFound: true } : {}),
    ...(verdict.isAnswer === true ? { isAnswer: true } : {}),
  };
}

/** Says what the provider said, unless its words repeat the request's or may hold the key. */
function describe(verdict: Verdict, report: ProviderReport, provider: ProviderContext, asked: unknown): string {
  const code = report.codes.find((name) => !/^\d+$/.test(name));
  const known = [report.status, code].filter((word) => word !== null && word !== undefined).join(' ');
  const start = `${provider.id} ${verdict.says}${known === '' ? '' : ` (${known})`}`;
  const isQuotable =
    verdict.cause !== 'model-authentication' && report.message !== '' && !echoes(report.message, asked);
  return isQuotable ? `${start}: ${report.message}` : start;
}

function fromUnreachableTool(error: Error): Failure {
  const mend = 'Bring the service of the tool back, or set the secret that it misses.';
  return { cause: 'tool-error', disposition: 'mendable', message: safeMessage(error.message), mend, sent: 'no' };
}

/** Connections that AI SDK did not make: a tool's `fetch`, or the database's socket. */
function fromConnection(error: unknown): Failure | null {
  const network = networkErrorOf(error);
  if (network === null) return null;
  const isFetch = error instanceof TypeError || network.code.startsWith('UND_');
  return isFetch
    ? fromNetwork('tool-error', 'A service could not be reached', network)
    : fromNetwork('infra', 'A connection failed', network);
}

function fromNetwork(cause: Cause, what: string, { code, message, isSent, mend }: NetworkError): Failure {
  return {
    cause,
    disposition: mend === null ? 'transient' : 'mendable',
    message: safeMessage(`${what}: ${message.includes(code) ? message : `${code} ${message}`}`),
    ...(mend === null ? {} : { mend }),
    sent: isSent ? 'maybe' : 'no',
  };
}

/** Says whether the trouble is that a database or a connection of ours is away: what was to be written is good, and can be written later. */
export function isDatabaseAway(error: unknown): boolean {
  // Their causes are connections too, but not ours.
  if (error instanceof ModelCallError || APICallError.isInstance(error)) return false;
  const failure = fromDatabase(error) ?? fromConnection(error);
  return failure !== null && failure.cause === 'infra' && failure.disposition !== 'final';
}

/**
 * Says whether a failed model call is the provider's fault: it did not answer, or broke off. What it answered, a refusal of the rate, the key or
 * the request included, is none: another call may pass.
 */
export function isProviderFault(error: unknown): boolean {
  if (error instanceof ModelReplyError) return error.kind === 'interrupted';
  if (error instanceof ModelUnavailable || error instanceof ApplicationFailure) return false;
  const { cause, disposition, isNotFound, isAnswer } = classify(error);
  return cause === 'model-error' && disposition !== 'final' && isNotFound !== true && isAnswer !== true;
}

/** Makes the failure for a SQLSTATE, from its class to what names the particular case. */
function fromDatabase(error: unknown): Failure | null {
  const message = messageOf(error);
  if (error instanceof Error && isBrokenConnection(message)) {
    return { cause: 'infra', disposition: 'transient', message: 'The connection to PostgreSQL broke', sent: 'maybe' };
  }
  const code = fieldOf(error, 'code');
  if (code === null || !isSqlState(code)) return null;
  const { disposition, mend, isQuotable } = classifySqlState(code, fieldOf(error, 'constraint') !== null);
  const named = ['table', 'constraint'].flatMap((field) => fieldOf(error, field) ?? []).join(' ');
  const detail = isQuotable ? message : named;
  return {
    cause: 'infra',
    disposition,
    message: safeMessage(`PostgreSQL refused with ${code}${detail === '' ? '' : `: ${detail}`}`),
    ...(mend === undefined ? {} : { mend }),
    sent: 'maybe',
  };
}

/** Its message may quote anything, so only its name and the place where it was thrown are kept. */
function unexpected(error: unknown): Failure {
  const place = /([\w.-]+\.[jt]s:\d+):\d+\)?$/m.exec((error instanceof Error && error.stack) || '')?.[1];
  const message = safeMessage(`Unexpected ${nameOf(error)}${place === undefined ? '' : ` at ${place}`}`);
  return { cause: 'infra', disposition: 'transient', message, sent: 'maybe' };
}

/** Anything can be thrown, also what has no text or whose text is none. */
function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return nameOf(error);
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
