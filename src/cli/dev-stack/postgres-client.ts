import { Client, escapeIdentifier } from 'pg';

/** Milliseconds for a connection to a server that is up; one that does not answer by then is asked again. */
const connectMs = 2_000;

/** PostgreSQL's code for a database that exists. */
const duplicateDatabase = '42P04';

/** Asks a database once whether it answers. */
export async function answersSql(url: string): Promise<boolean> {
  return (await whySqlFails(url)) === null;
}

/** Asks a database once, and says why it does not answer, or null when it does. */
export async function whySqlFails(url: string, timeoutMs = connectMs): Promise<string | null> {
  try {
    await withClient(url, timeoutMs, (client) => client.query('select 1'));
    return null;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Creates a database where it is missing. */
export async function createDatabase(serverUrl: string, name: string): Promise<void> {
  try {
    await withClient(serverUrl, connectMs, (client) => client.query(`create database ${escapeIdentifier(name)}`));
  } catch (error) {
    if ((error as { code?: string }).code !== duplicateDatabase) throw error;
  }
}

async function withClient<T>(url: string, timeoutMs: number, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: timeoutMs });
  // Without a listener a connection that the server ends would end our process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A refused connection to a name with several addresses comes as an error with an empty message and parts. */
function reasonOf(error: unknown): string {
  const parts = error instanceof AggregateError ? error.errors : [error];
  return parts.map((part) => (part as Error).message).join('; ');
}
