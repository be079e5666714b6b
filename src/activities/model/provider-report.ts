/** What a provider said when it refused a call, taken out of the shapes that providers use. */
export type ProviderReport = {
  /** HTTP status; null when the error came inside a reply and names none. */
  readonly status: number | null;
  /** `code`, `type`, `status` and `__type` of the error, its reasons and the names of the quotas that it hit, in lower case. */
  readonly codes: readonly string[];
  /** The words for a person. May repeat the request's words and secrets. */
  readonly message: string;
  /** When to try again, in milliseconds, as the headers or the body say. */
  readonly retryAfterMs: number | null;
};

/** An hour: a provider that asks for more has run into a limit of a day, and asking it once an hour costs nothing. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * Finds the error in the body of a reply or in a chunk of one, whatever its status said: what names an error is not read as an empty reply.
 *
 * @returns the error as the provider wrote it; null when there is none.
 */
export function errorInBody(given: unknown): unknown {
  const body = typeof given === 'string' ? parse(given) : given;
  if (Array.isArray(body)) return (body as readonly unknown[]).map(errorInBody).find((error) => error !== null) ?? null;
  if (typeof body !== 'object' || body === null) return null;
  const fields = body as Fields;
  const exception = Object.keys(fields).find((name) => /^[a-z]\w*Exception$/.test(name));
  if (exception !== undefined) return { type: exception, ...(fields[exception] as Fields | null) };
  // OpenAI's events tell that a response failed inside of it, Groq's beside the choices.
  const places = [fields, fields['response'], fields['x_groq']];
  const found = places.find((place) => isError((place as Fields | null | undefined)?.['error']));
  if (found !== undefined) {
    const error = (found as Fields)['error'];
    // Words alone have their code beside them.
    return typeof error === 'string' ? found : { error };
  }
  return fields['type'] === 'error' || fields['object'] === 'error' ? body : null;
}

/** Tells whether a completion, or a chunk of one, is a refusal. OpenAI writes it where the words would be, and ends as if nothing were wrong. */
export function isRefusal(body: unknown): boolean {
  const { choices } = (body ?? {}) as Fields;
  if (!Array.isArray(choices)) return false;
  return (choices as readonly (Fields | null)[]).some((choice) => {
    const said = (choice?.['delta'] ?? choice?.['message']) as Fields | null | undefined;
    return typeof said?.['refusal'] === 'string' && said['refusal'] !== '';
  });
}

function isError(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

/**
 * Reads a provider's error. Known shapes: `{ error: { message, type, code, status, details } }`, `{ error: "…" }`,
 * `{ message, type, code }`, `{ detail }`, a list of one of them, and one of them as the text of another's message, as proxies pass them on.
 */
export function readProviderReport(
  status: number | null,
  headers: Readonly<Record<string, string>>,
  body: unknown,
  now: number,
): ProviderReport {
  const error = innermost(errorOf(typeof body === 'string' ? parse(body) : body));
  const message = wordsOf(error['message']) || wordsOf(error['detail']) || wordsOf(error['error']);
  const named = ['code', 'type', 'status', '__type'].map((key) => textOf(error[key]));
  const codes = [...named, exceptionOf(headers), ...detailCodes(error['details'])].flatMap(
    (code) => code?.toLowerCase() ?? [],
  );
  // A moment is one of the provider's clock, which its reply names.
  const clock = Date.parse(headers['date'] ?? '');
  const at = Number.isNaN(clock) ? now : clock;
  const hints = [
    ...headerDelays(headers, at),
    retryInfoDelay(error['details']),
    writtenDelay(error),
    spokenDelay(message),
    status === 429 ? resetDelay(headers, at) : null,
  ];
  // No wait at all is none that was asked for: without one the pauses grow.
  const hint = hints.find((each) => each !== null && Number.isFinite(each) && each > 0) ?? null;
  return {
    status: status ?? statusOf(error['code']) ?? statusOf(error['status']),
    codes,
    message,
    retryAfterMs: hint === null ? null : Math.min(Math.ceil(hint), RETRY_AFTER_MS_MAX),
  };
}

type Fields = { readonly [key: string]: unknown };

function errorOf(body: unknown): Fields {
  const first: unknown = Array.isArray(body) ? body[0] : body;
  if (typeof first === 'string') return { message: first };
  if (typeof first !== 'object' || first === null) return {};
  const { error } = first as Fields;
  return typeof error === 'object' && error !== null ? (error as Fields) : (first as Fields);
}

/** Proxies pass another's error on as the text of their own message. */
function innermost(error: Fields): Fields {
  const message = textOf(error['message'])?.trim() ?? '';
  const inner = /^[[{]/.test(message) ? errorOf(parse(message)) : {};
  return Object.keys(inner).length === 0 ? error : inner;
}

/** Mistral's validator answers with a list of findings instead of words. */
function wordsOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return textOf(value) ?? '';
  const { detail = value, msg } = value as Fields;
  if (msg !== undefined) return textOf(msg) ?? '';
  return Array.isArray(detail) ? detail.map(wordsOf).filter(Boolean).join('; ') : '';
}

/** @see google.rpc.ErrorInfo (`reason`) and google.rpc.QuotaFailure (`quotaId`, which names the minute or the day). */
function detailCodes(details: unknown): readonly (string | null)[] {
  if (!Array.isArray(details)) return [];
  return (details as readonly (Fields | null)[]).flatMap((detail) => {
    const violations = Array.isArray(detail?.['violations'])
      ? (detail['violations'] as readonly (Fields | null)[])
      : [];
    return [textOf(detail?.['reason']), ...violations.map((violation) => textOf(violation?.['quotaId']))];
  });
}

/** AWS names the exception in a header, with an address after it. */
function exceptionOf(headers: Readonly<Record<string, string>>): string | null {
  return headers['x-amzn-errortype']?.split(':')[0] ?? null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function statusOf(value: unknown): number | null {
  const status = Number(value);
  return Number.isInteger(status) && status >= 400 && status < 600 ? status : null;
}

/** @see RFC 9110, section 10.2.3: seconds or a date. `retry-after-ms` is the same in milliseconds. Proxies write a header twice, and `30s`. */
function headerDelays(headers: Readonly<Record<string, string>>, now: number): readonly (number | null)[] {
  const value = headers['retry-after']?.trim() ?? '';
  const seconds = /^(\d+(?:\.\d+)?)s?(?:\s*,|$)/.exec(value)?.[1];
  const isDate = /^(?:[A-Za-z]{3,9},? |\d{4}-\d)/.test(value);
  return [
    headers['retry-after-ms'] === undefined ? null : Number.parseFloat(headers['retry-after-ms']),
    seconds === undefined ? null : Number(seconds) * 1000,
    isDate ? Date.parse(value) - now : null,
  ];
}

/**
 * Reads when what is used up comes back: `x-ratelimit-reset-tokens: 6m0s`, `anthropic-ratelimit-requests-reset: <date>`,
 * `ratelimit-reset: 30`, or a moment in seconds or milliseconds. Only limits with nothing remaining count, the last of them; where no header
 * says what remains, all do.
 */
function resetDelay(headers: Readonly<Record<string, string>>, now: number): number | null {
  const limits = Object.keys(headers).filter((name) => name.includes('ratelimit'));
  const otherwise = limits.some((name) => name.includes('remaining')) ? '1' : '0';
  const delays = limits.flatMap((name) => {
    const remaining = headers[name.replace('reset', 'remaining')] ?? otherwise;
    if (!name.includes('reset') || Number(remaining) > 0) return [];
    return untilReset((headers[name] ?? '').trim(), now) ?? [];
  });
  return delays.length === 0 ? null : Math.max(...delays);
}

/** Ten years in seconds: no wait is as long, every moment since 1970 is later. */
const MOMENT_SECONDS = 315_360_000;

function untilReset(value: string, now: number): number | null {
  if (/^\d+(?:\.\d+)?$/.test(value)) {
    const amount = Number(value);
    if (amount < MOMENT_SECONDS) return amount * 1000;
    return Math.max(0, (amount < MOMENT_SECONDS * 1000 ? amount * 1000 : amount) - now);
  }
  const at = /^\d{4}-/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? durationMs(value) : Math.max(0, at - now);
}

/** @see google.rpc.RetryInfo: `retryDelay` in seconds, as `34.4s`. */
function retryInfoDelay(details: unknown): number | null {
  if (!Array.isArray(details)) return null;
  for (const detail of details as Fields[]) {
    const delay = textOf(detail?.['retryDelay']);
    if (delay !== null) return durationMs(delay);
  }
  return null;
}

/** Gateways write it beside their message, in seconds or milliseconds. */
function writtenDelay(error: Fields): number | null {
  const milliseconds = error['retry_after_ms'] ?? error['retryAfterMs'];
  if (milliseconds !== undefined) return Number(milliseconds);
  const seconds = error['retry_after'] ?? error['retryAfter'] ?? error['retry_after_seconds'];
  return seconds === undefined ? null : Number(seconds) * 1000;
}

/** OpenAI, Groq and others say it in words: `Please try again in 1.2s`, `in 20ms`, `in 6m0s`, `retry your request after 20 seconds`. */
function spokenDelay(message: string): number | null {
  const found =
    /(?:try again|retry|wait)(?: [a-z]+){0,3}? ((?:\d+(?:\.\d+)?\s*(?:ms|d|h|m|s)[a-z]*\s*(?:and\s*)?)+)/i.exec(
      message,
    );
  return found?.[1] === undefined ? null : durationMs(found[1]);
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationMs(text: string): number | null {
  const terms = [...text.toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*(ms|milliseconds?|[dhms])/g)];
  if (terms.length === 0) return null;
  return terms.reduce((sum, [, amount, unit]) => {
    const key = unit?.startsWith('milli') ? 'ms' : (unit ?? 's');
    return sum + Number(amount) * (UNIT_MS[key] ?? 0);
  }, 0);
}
