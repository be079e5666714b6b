/** What a provider said when it refused a call, taken out of the shapes that providers use. */
export type ProviderReport = {
  /** HTTP status; null when the error came inside a reply and names none. */
  readonly status: number | null;
  /** `code`, `type` and `status` of the error, in lower case. */
  readonly codes: readonly string[];
  /** The words for a person. May repeat the request's words and secrets. */
  readonly message: string;
  /** When to try again, in milliseconds, as the headers or the body say. */
  readonly retryAfterMs: number | null;
};

/** An hour: a provider that asks for more has run into a limit of a day, and asking it once an hour costs nothing. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * Reads a provider's error. Known shapes: `{ error: { message, type, code, status, details } }`, `{ error: "…" }`,
 * `{ message, type, code }`, `{ detail }`, and a list of one of them.
 */
export function readProviderReport(
  status: number | null,
  headers: Readonly<Record<string, string>>,
  body: unknown,
  now: number,
): ProviderReport {
  const error = errorOf(typeof body === 'string' ? parse(body) : body);
  const message = textOf(error['message']) ?? textOf(error['detail']) ?? textOf(error['error']) ?? '';
  const codes = ['code', 'type', 'status'].flatMap((key) => textOf(error[key])?.toLowerCase() ?? []);
  const hint = headerDelay(headers, now) ?? retryInfoDelay(error['details']) ?? spokenDelay(message);
  const usable = hint !== null && Number.isFinite(hint) && hint >= 0;
  return {
    status: status ?? statusOf(error['code']) ?? statusOf(error['status']),
    codes,
    message,
    retryAfterMs: usable ? Math.min(Math.ceil(hint), RETRY_AFTER_MS_MAX) : null,
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

/** @see RFC 9110, section 10.2.3: seconds or a date. `retry-after-ms` is the same in milliseconds. */
function headerDelay(headers: Readonly<Record<string, string>>, now: number): number | null {
  const milliseconds = Number.parseFloat(headers['retry-after-ms'] ?? '');
  if (!Number.isNaN(milliseconds)) return milliseconds;
  const value = headers['retry-after']?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1000;
  const at = value === '' ? Number.NaN : Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
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

/** OpenAI, Groq and others say it in words: `Please try again in 1.2s`, `in 20ms`, `in 6m0s`, `in 20 seconds`. */
function spokenDelay(message: string): number | null {
  const found = /(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s)[a-z]*\s*)+)/i.exec(message);
  return found?.[1] === undefined ? null : durationMs(found[1]);
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function durationMs(text: string): number | null {
  const terms = [...text.toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*(ms|milliseconds?|[hms])/g)];
  if (terms.length === 0) return null;
  return terms.reduce((sum, [, amount, unit]) => {
    const key = unit?.startsWith('milli') ? 'ms' : (unit ?? 's');
    return sum + Number(amount) * (UNIT_MS[key] ?? 0);
  }, 0);
}
