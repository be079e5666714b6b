/** A failure of the connection, found in an error or in what caused it. */
export type NetworkError = {
  readonly code: string;
  readonly message: string;
  /** False only when the request certainly did not go out. */
  readonly isSent: boolean;
  /** What a person must change; null when it heals by itself. */
  readonly mend: string | null;
};

/** Failures before there is a connection, whatever else the error says. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Failures after which the request may have arrived, unless they came while connecting. */
const MAYBE_SENT = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'EPROTO',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RESPONSE_STATUS_CODE',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** Failures that connecting has too: a route that goes, a peer that is silent. The system call tells which it was. */
const WHILE_CONNECTING = new Set(['ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'EPROTO', 'ETIMEDOUT']);

/** The certificate or the handshake of TLS is refused, before the request is written. */
const HANDSHAKE =
  /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH|ERR_SSL_(?:WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|NO_SHARED_CIPHER|.*HANDSHAKE_FAILURE|.*ALERT_PROTOCOL_VERSION|.*UNRECOGNIZED_NAME)$)/;

const MEND_TLS = 'Put the certificate of the server right, or trust it with NODE_EXTRA_CA_CERTS.';

/** What `fetch` says of ports that no browser may call. It has no code. */
const BAD_PORT = 'bad port';

/** Causes looked through: each layer adds one, and there are about three. Also ends a circle. */
const DEPTH_MAX = 8;

/** Finds the network error in an error, its causes, or the attempts on several addresses. Null when there is none. */
export function networkErrorOf(error: unknown): NetworkError | null {
  let current = error;
  for (let depth = 0; depth < DEPTH_MAX && current instanceof Error; depth += 1) {
    const found = readNetworkError(current);
    if (found !== null) return found;
    if (depth > 0 && current.message === BAD_PORT) {
      const mend = 'Serve it on another port: fetch does not call this one.';
      return { code: 'ERR_BAD_PORT', message: BAD_PORT, isSent: false, mend };
    }
    current = current.cause;
  }
  return null;
}

/** Node's error for several addresses has the code of the first of them, and no system call. */
function readNetworkError(error: Error): NetworkError | null {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : null;
  const code = fieldOf(error, 'code') ?? fieldOf(first, 'code');
  if (code === null) return null;
  const { message } = error;
  const isConnecting = (fieldOf(error, 'syscall') ?? fieldOf(first, 'syscall')) === 'connect';
  if (HANDSHAKE.test(code)) return { code, message, isSent: false, mend: MEND_TLS };
  if (NOT_SENT.has(code) || (WHILE_CONNECTING.has(code) && isConnecting)) {
    return { code, message, isSent: false, mend: null };
  }
  return MAYBE_SENT.has(code) || code.startsWith('ERR_SSL_') ? { code, message, isSent: true, mend: null } : null;
}

/** Reads a text field of an error of unknown kind. */
export function fieldOf(error: unknown, field: string): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const value: unknown = (error as { readonly [name: string]: unknown })[field];
  return typeof value === 'string' && value !== '' ? value : null;
}
