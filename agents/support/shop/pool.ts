import { Pool } from 'pg';

/** Ten connections: a worker's tools run tens of calls at once, each for a few milliseconds, and PostgreSQL allows 100 in all. */
const CONNECTIONS_MAX = 10;
/** Five seconds: a server that does not answer by then is down, and half of a tool's time is left to say so. */
const CONNECT_TIMEOUT_MS = 5_000;

const pools = new Map<string, Pool>();

/** Gives the pool of a database, one in each process. It connects when first used and does not keep the process alive. */
export function poolOf(url: string): Pool {
  const known = pools.get(url);
  if (known !== undefined) return known;
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    allowExitOnIdle: true,
    application_name: 'perdure-support-tools',
  });
  // An idle connection that the server closed is dropped from the pool; without a listener it would end the process.
  pool.on('error', () => {});
  pools.set(url, pool);
  return pool;
}
