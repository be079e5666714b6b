import { connectToTemporal, temporalTarget } from '../runtime/connection.ts';
import { type ClientSetup, createClient, type PerdureClient } from './create-client.ts';

export type ConnectOptions = Omit<ClientSetup, 'connection' | 'namespace'> & {
  /** `host:port`. Default: `TEMPORAL_ADDRESS`, a profile of `temporal.toml`, else `localhost:7233`. */
  readonly address?: string;
  /** Default: that of the environment or the profile, else `perdure`. */
  readonly namespace?: string;
};

/** A client with a connection of its own, which `close` ends. */
export type ConnectedClient = PerdureClient & { readonly close: () => Promise<void> };

/** Connects to Temporal and makes a client. */
export async function connect({ address, namespace, ...setup }: ConnectOptions = {}): Promise<ConnectedClient> {
  const target = temporalTarget();
  const connection = await connectToTemporal({
    ...target.connectionOptions,
    ...(address === undefined ? {} : { address }),
  });
  const client = createClient({ ...setup, connection, namespace: namespace ?? target.namespace });
  return { ...client, close: () => connection.close() };
}
