import type { Cause, Disposition } from '../../domain/run/cause.ts';
import type { ProviderContext } from './model-errors.ts';
import type { ProviderReport } from './provider-report.ts';

/** What a provider's refusal means. */
export type Verdict = {
  readonly cause: Cause;
  readonly disposition: Disposition;
  /** Follows the model's id in a sentence. */
  readonly says: string;
  readonly mend?: string;
  /** The provider charges nothing for such a refusal. */
  readonly isFree: boolean;
  /** The prompt does not fit into the model's context. */
  readonly isTooLong?: true;
  /** The provider does not have the model, or not for this key. */
  readonly isNotFound?: true;
  /** The model has answered, with what its provider cannot read: that is no failure of the provider. */
  readonly isAnswer?: true;
};

type Rule = {
  readonly applies: (report: ProviderReport) => boolean;
  readonly verdict: (context: ProviderContext, report: ProviderReport) => Verdict;
};

/** Besides what HTTP calls passing: 424 when a model broke on the way, 498 when Groq has no room in its tier. */
const TRANSIENT_STATUSES = [408, 409, 424, 425, 498, 499];

/**
 * Failures that the provider itself states, for which none charges. A gateway's 502, 504 or 408 says only that it got no reply: the model
 * may have worked, and then it is paid for.
 */
const FREE_FAILURES = [409, 425, 500, 503, 529];

/**
 * From the most particular to the most general; the first that applies counts. Codes go before statuses, as providers send a full
 * prompt or an empty account as 400 and 429, and both before words.
 */
const RULES: readonly Rule[] = [
  {
    applies: ({ codes }) =>
      has(
        codes,
        /insufficient_(?:user_)?(?:quota|balance|credits?|funds)|exceeded_current_quota|arrearage|billing|payment_required|credits?_exhausted|servicequotaexceeded|perday/,
      ),
    verdict: quotaExhausted,
  },
  { applies: ({ status }) => status === 402, verdict: quotaExhausted },
  {
    // These say that no waiting helps, also where they come with a time to wait.
    applies: ({ message, status }) =>
      (status === null || status < 500) &&
      /credit balance is too low|insufficient (?:balance|credits?|funds)|out of credits|used all available credits|have any credits|spending limit|specified (?:api )?usage limits|extra usage is required|\blimit: 0(?![\d.])/i.test(
        message,
      ),
    verdict: quotaExhausted,
  },
  {
    applies: ({ message, retryAfterMs, status }) =>
      retryAfterMs === null &&
      (status === null || status < 500) &&
      /exceeded your current quota|plan and billing|billing (?:hard )?limit|enable billing|(?:tokens|requests) per day/i.test(
        message,
      ),
    verdict: quotaExhausted,
  },
  {
    // The request alone is above the tokens of a minute: waiting does not help.
    applies: ({ message, status }) => (status === 429 || status === 413) && /^request too large for/i.test(message),
    verdict: () => ({
      cause: 'model-quota',
      disposition: 'mendable',
      says: 'allows fewer tokens a minute than the request has',
      mend: 'Raise the token limit of the account at the provider.',
      isFree: true,
    }),
  },
  {
    applies: ({ status, codes }) =>
      status === 429 || has(codes, /rate_?limit|throttl|too_many_requests|resource_exhausted/),
    verdict: () => ({ cause: 'model-rate-limited', disposition: 'transient', says: 'limits the rate', isFree: true }),
  },
  {
    // The model wrote a call that cannot be read. Another time it writes another.
    applies: ({ codes }) => has(codes, /tool_use_failed|json_validate_failed|output_parse_failed/),
    verdict: () => ({
      cause: 'model-error',
      disposition: 'transient',
      says: 'wrote a tool call that cannot be read',
      isFree: false,
      isAnswer: true,
    }),
  },
  {
    applies: ({ status, message }) =>
      status === 403 && /flagged|moderation|content violates|usage guidelines/i.test(message),
    verdict: contentRefused,
  },
  {
    applies: ({ status, codes }) =>
      status === 401 ||
      status === 403 ||
      has(
        codes,
        /invalid_?api_?key|api_?key_?invalid|authentication|permission|accessdenied|expiredtoken|unrecognizedclient|invalidsignature/,
      ),
    verdict: keyRefused,
  },
  {
    applies: ({ message, status }) =>
      (status === null || status === 400) &&
      /api key (?:not valid|expired|not found)|(?:incorrect|invalid) api key/i.test(message),
    verdict: keyRefused,
  },
  {
    applies: ({ codes, message, status }) =>
      (status === null || status < 500) &&
      (has(codes, /content_?(?:filter|policy)|policy_violation|responsibleai|invalid_prompt|safety|moderation/) ||
        /content management policy|content[- ]?(?:policy|filter)|usage polic|usage guidelines|content violates|content exists risk/i.test(
          message,
        )),
    verdict: contentRefused,
  },
  {
    applies: ({ codes, message, status }) =>
      status === 413 ||
      ((status === null || status < 500) &&
        (has(codes, /context_(?:length|window|size)|string_above_max|request_too_large/) || isTooLong(message))),
    verdict: () => ({
      cause: 'validation',
      disposition: 'final',
      says: 'cannot hold a prompt of this length',
      isFree: true,
      isTooLong: true,
    }),
  },
  {
    // A wrong path is answered with 405 by many servers, a model that is no more with 410.
    applies: ({ status, codes, message }) =>
      (status !== null && [404, 405, 410].includes(status)) ||
      ((status === null || status < 500) &&
        (has(codes, /model_?not_?found|invalid_model|model_(?:decommissioned|deprecated|not_active)|^not_found/) ||
          /model (?:identifier |id |name )?(?:is invalid|is not valid|not found|(?:does )?not exist)|invalid model|model \S+ does not exist/i.test(
            message,
          ))),
    verdict: () => ({
      cause: 'model-error',
      disposition: 'mendable',
      says: 'was not found',
      mend: 'Let the provider serve the model to this key, or put the address right. Where the name is wrong: cancel the run and start it with a release that has the right one.',
      isFree: true,
      isNotFound: true,
    }),
  },
  {
    applies: ({ status, codes }) =>
      status === null
        ? !has(codes, /invalid_request|not_?found|unsupported|validationexception/)
        : status >= 500 || TRANSIENT_STATUSES.includes(status) || has(codes, /overloaded/),
    verdict: (_context, { status }) => ({
      cause: 'model-error',
      disposition: 'transient',
      says: 'failed',
      isFree: status !== null && FREE_FAILURES.includes(status),
    }),
  },
];

/** Says what a provider's report means. What no rule knows belongs to the request: the same one would be refused again. */
export function classifyReport(report: ProviderReport, context: ProviderContext): Verdict {
  const rule = RULES.find(({ applies }) => applies(report));
  return (
    rule?.verdict(context, report) ?? {
      cause: 'validation',
      disposition: 'final',
      says: 'refused the request',
      isFree: true,
    }
  );
}

function quotaExhausted(): Verdict {
  return {
    cause: 'model-quota',
    disposition: 'mendable',
    says: 'has no quota left',
    mend: 'Add credit or raise the limit of the account at the provider.',
    isFree: true,
  };
}

/** Some providers charge for reading the prompt that they refuse. */
function contentRefused(): Verdict {
  return { cause: 'guardrail-block', disposition: 'final', says: 'refused the content', isFree: false };
}

function keyRefused({ keyName }: ProviderContext): Verdict {
  return {
    cause: 'model-authentication',
    disposition: 'mendable',
    says: 'refused the key',
    mend:
      keyName === null
        ? 'Check the key of the model.'
        : `Set ${keyName}, or the file that ${keyName}_FILE names, to a key that may use this model.`,
    isFree: true,
  };
}

function isTooLong(message: string): boolean {
  return /maximum context length|context (?:length|window|size|limit)|maximum prompt length|total text bytes|prompt is too long|input is too long|too many (?:input )?tokens|reduce the length|input token count|exceeds? the (?:maximum|available) (?:number of|input|context|prompt)|input tokens exceed|maximum model length|payload size exceeds|tokens`? \+ `?max_new_tokens|max_tokens must be at least 1, got -/i.test(
    message,
  );
}

function has(codes: readonly string[], pattern: RegExp): boolean {
  return codes.some((code) => pattern.test(code));
}
