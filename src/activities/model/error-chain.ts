/** A failure of the connection, found in an error or in what caused it. */
export type NetworkError = {
  readonly code: string;
  readonly message: string;
  /** False only when the request certainly did not go out. */
  readonly isSent: boolean;
  readonly isCertificate: boolean;
};

/** Failures before the first byte of the request. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Failures after which the request may have arrived. */
const MAYBE_SENT = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RESPONSE_STATUS_CODE',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** TLS refuses before the request is written. */
const CERTIFICATE = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT|ERR_SSL_|EPROTO$|HOSTNAME_MISMATCH)/;

/** Causes looked through: each layer adds one, and there are about three. Also ends a circle. */
const DEPTH_MAX = 8;

/** Finds the network error in an error, its causes, or the attempts on several addresses. Null when there is none. */
export function networkErrorOf(error: unknown): NetworkError | null {
  let current = error;
  for (let depth = 0; depth < DEPTH_MAX && current instanceof Error; depth += 1) {
    const code =
      fieldOf(current, 'code') ?? (current instanceof AggregateError ? fieldOf(current.errors[0], 'code') : null);
    if (code !== null) {
      const isCertificate = CERTIFICATE.test(code);
      const isConnecting = NOT_SENT.has(code) || (code === 'ETIMEDOUT' && fieldOf(current, 'syscall') === 'connect');
      if (isCertificate || isConnecting || MAYBE_SENT.has(code)) {
        return { code, message: current.message, isSent: !isCertificate && !isConnecting, isCertificate };
      }
    }
    current = current.cause;
  }
  return null;
}

/** Reads a text field of an error of unknown kind. */
export function fieldOf(error: unknown, field: string): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const value: unknown = (error as { readonly [name: string]: unknown })[field];
  return typeof value === 'string' && value !== '' ? value : null;
}
