/** A configuration value that cannot be used. The message names the variable, what was expected and what came. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

export type Environment = { readonly [name: string]: string | undefined };

export const WORKER_ROLES = ['agents', 'models', 'tools', 'ops'] as const;

/** What a worker process does: run workflows, call models, call tools, keep house. */
export type WorkerRole = (typeof WORKER_ROLES)[number];

export type WorkerConfig = {
  readonly databaseUrl: string;
  readonly roles: readonly WorkerRole[];
  readonly buildId: string;
  readonly queuePrefix: string;
  readonly agentsDirectory: string;
  readonly modelTimeoutMs: number;
  /** Calls of one model at once, in this process. */
  readonly modelCallsMax: number;
  readonly turnsPerExecution: number;
  readonly logLevel: string;
  /** Where metrics and health are served; null when they are not. */
  readonly metricsAddress: ListenAddress | null;
  /** Whether what models say is told to readers while they say it. */
  readonly isStreaming: boolean;
};

/** An address to listen at; port 0 is any free one. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** Three quarters of a worker's slots for model calls: one slow model leaves room for the others. */
const MODEL_CALLS_MAX = 150;

/** Ten minutes: the slowest reasoning models answer within it. */
const MODEL_TIMEOUT_MS = 600_000;

/**
 * Reads a worker's configuration from the environment.
 *
 * @throws ConfigurationError for a value that cannot be used.
 */
export function readWorkerConfig(env: Environment): WorkerConfig {
  return {
    databaseUrl: readDatabaseUrl(env),
    roles: readRoles(env),
    // One word is enough: it stands in every workflow task's history.
    buildId: readPattern(env, 'PERDURE_BUILD_ID', /^[\w.-]{1,64}$/, 'b1', 'letters, digits, dots and dashes'),
    queuePrefix: readPattern(env, 'PERDURE_QUEUE_PREFIX', /^[a-z][a-z0-9-]{0,31}$/, 'perdure', 'kebab-case'),
    agentsDirectory: env['PERDURE_AGENTS_DIR'] || 'agents',
    modelTimeoutMs: readWhole(env, 'PERDURE_MODEL_TIMEOUT_MS', MODEL_TIMEOUT_MS, { min: 100, max: 3_600_000 }),
    modelCallsMax: readWhole(env, 'PERDURE_MODEL_CALLS_MAX', MODEL_CALLS_MAX, { min: 1, max: 1_000 }),
    turnsPerExecution: readWhole(env, 'PERDURE_TURNS_PER_EXECUTION', 50, { min: 1, max: 50 }),
    logLevel: readPattern(
      env,
      'PERDURE_LOG_LEVEL',
      /^(trace|debug|info|warn|error|fatal)$/,
      'warn',
      'trace, debug, info, warn, error or fatal',
    ),
    metricsAddress: readListenAddress(env, 'PERDURE_METRICS_ADDRESS'),
    isStreaming: readPattern(env, 'PERDURE_STREAMING', /^(on|off)$/, 'on', 'on or off') === 'on',
  };
}

function readListenAddress(env: Environment, name: string): ListenAddress | null {
  const text = env[name] ?? '';
  if (text === '') return null;
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new ConfigurationError(
    `${name} must be HOST:PORT, such as 127.0.0.1:9464, 0.0.0.0:9464 or [::]:9464, got ${JSON.stringify(text)}`,
  );
}

function readDatabaseUrl(env: Environment): string {
  const url = env['DATABASE_URL'];
  if (url !== undefined && url !== '') return checkDatabaseUrl(url);
  throw new ConfigurationError(
    'DATABASE_URL is not set; set it to postgres://user:password@host:port/database, or use npm start, which brings a database',
  );
}

function readRoles(env: Environment): readonly WorkerRole[] {
  const text = env['PERDURE_ROLES'];
  if (text === undefined || text === '') return WORKER_ROLES;
  return text.split(',').map((name) => {
    const role = WORKER_ROLES.find((known) => known === name.trim());
    if (role !== undefined) return role;
    throw new ConfigurationError(
      `PERDURE_ROLES names ${JSON.stringify(name)}; the roles are ${WORKER_ROLES.join(', ')}`,
    );
  });
}

function readPattern(env: Environment, name: string, pattern: RegExp, fallback: string, expected: string): string {
  const text = env[name] || fallback;
  if (pattern.test(text)) return text;
  throw new ConfigurationError(`${name} must be ${expected}, got ${JSON.stringify(text)}`);
}

function readWhole(
  env: Environment,
  name: string,
  fallback: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const number = Number(env[name] || fallback);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new ConfigurationError(
    `${name} must be a whole number from ${min} to ${max}, got ${JSON.stringify(env[name])}`,
  );
}

/** A name, an IPv4 or a bracketed IPv6 address, and a port. */
const HOST_AND_PORT = /^(?:\[[\da-fA-F:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/;

/**
 * Checks where Temporal is before anything connects: what cannot be an address would be looked up as a name for as long as patience lasts.
 *
 * @throws ConfigurationError that says what was expected and what came.
 */
export function checkTemporalAddress(address: string): string {
  const port = Number(HOST_AND_PORT.exec(address)?.[1] ?? 0);
  if (port > 0 && port < 65_536) return address;
  throw new ConfigurationError(
    `TEMPORAL_ADDRESS (or the address of a profile) must be host:port, for example localhost:7233, got ${shown(address)}`,
  );
}

/**
 * Checks where the database is.
 *
 * @throws ConfigurationError that says what was expected and what came, without the password.
 */
export function checkDatabaseUrl(url: string): string {
  if (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new ConfigurationError(`DATABASE_URL must be postgres://user:password@host:port/database, got ${shown(url)}`);
}

/** Characters of a value that a message repeats: enough to know it again. */
const SHOWN_LENGTH_MAX = 80;

function shown(value: string): string {
  return JSON.stringify(value.replace(/^(\w+:\/\/)?.*@/s, '$1…@').slice(0, SHOWN_LENGTH_MAX));
}
