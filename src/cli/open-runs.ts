import type { Connection } from '@temporalio/client';
import { createClient, type PerdureClient } from '../client/index.ts';
import type { RunReader } from '../client/index.ts';
import { createAttachmentWriter } from '../stores/attachment-writer.ts';
import { openDatabase } from '../stores/database.ts';
import { createRunReader } from '../stores/run-reader.ts';
import { createStores, type Stores } from '../stores/stores.ts';
import { createStreamListener } from '../stores/stream-listener.ts';
import type { Cli } from './cli.ts';
import { connectLazily } from '../runtime/connection.ts';
import { openTelemetry } from './open-telemetry.ts';
import { findDatabase, findTemporal, type TemporalPlace } from './find-servers.ts';

/** What a command about runs works with. Nothing is connected before it is used. */
export type OpenRuns = {
  readonly client: PerdureClient;
  readonly reader: RunReader;
  readonly stores: Stores;
  readonly connection: Connection;
  readonly temporal: TemporalPlace;
};

/** Milliseconds for the first answer of Temporal. A server that is there answers in some. */
const CONNECT_MS = 5_000;

/** Opens client, reader and stores for a piece of work, and closes them after it, whatever happens. */
export async function withRuns<Result>(cli: Cli, work: (runs: OpenRuns) => Promise<Result>): Promise<Result> {
  return withRunsOn(cli, { temporal: findTemporal(cli), databaseUrl: findDatabase(cli) }, work);
}

/** Does the same on servers that the caller has found. */
export async function withRunsOn<Result>(
  { env, account }: Pick<Cli, 'env' | 'account'>,
  { temporal, databaseUrl }: { readonly temporal: TemporalPlace; readonly databaseUrl: string },
  work: (runs: OpenRuns) => Promise<Result>,
): Promise<Result> {
  const db = openDatabase(databaseUrl, () => undefined);
  const listener = createStreamListener(databaseUrl);
  const connection = connectLazily({ connectTimeout: CONNECT_MS, ...temporal.connectionOptions });
  try {
    const stores = createStores(db);
    const reader = createRunReader(stores, listener);
    const telemetry = await openTelemetry({ env });
    const client = createClient({
      connection,
      namespace: temporal.namespace,
      taskQueue: `${env['PERDURE_QUEUE_PREFIX'] || 'perdure'}-agents`,
      reader,
      attachments: createAttachmentWriter(stores),
      principal: account,
      ...(telemetry === null ? {} : { interceptors: { workflow: [telemetry.client] } }),
    });
    return await work({ client, reader, stores, connection, temporal });
  } finally {
    await connection.close();
    await listener.close();
    await db.destroy();
  }
}
