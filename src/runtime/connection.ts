import { Connection, type ConnectionOptions } from '@temporalio/client';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { checkTemporalAddress } from './config.ts';
import { retryUntilClosed } from './retry-until-closed.ts';

/**
 * Most bytes of one answer of the server. The default of 4 MiB breaks on a page of 256 history events with ordinary payloads.
 */
const MESSAGE_BYTES_MAX = 128 * 1024 * 1024;

/** Namespace that is used when none is configured. */
export const DEFAULT_NAMESPACE = 'perdure';

/** How to reach a server, for clients and workers alike. */
export type TemporalTarget = {
  readonly connectionOptions: Pick<
    NativeConnectionOptions & ConnectionOptions,
    'address' | 'tls' | 'apiKey' | 'metadata'
  >;
  readonly namespace: string;
};

/**
 * Finds the Temporal server of this process: `TEMPORAL_ADDRESS` and its companions, or a profile of `temporal.toml`.
 *
 * @see https://docs.temporal.io/develop/environment-configuration
 */
export function temporalTarget(): TemporalTarget {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const { address, tls, apiKey, metadata } = connectionOptions;
  return {
    connectionOptions: {
      ...(address ? { address: checkTemporalAddress(address) } : {}),
      ...(tls === undefined ? {} : { tls }),
      ...(typeof apiKey === 'string' ? { apiKey } : {}),
      ...(metadata === undefined ? {} : { metadata }),
    },
    namespace: namespace ?? DEFAULT_NAMESPACE,
  };
}

/** Connects a client. */
export async function connectToTemporal(options: ConnectionOptions): Promise<Connection> {
  return Connection.connect(withDefaults(options));
}

/** Makes the connection of a client; nothing is sent before the first call. */
export function connectLazily(options: ConnectionOptions): Connection {
  return Connection.lazy(withDefaults(options));
}

function withDefaults(options: ConnectionOptions): ConnectionOptions {
  return {
    interceptors: [retryUntilClosed()],
    ...options,
    channelArgs: { ...options.channelArgs, 'grpc.max_receive_message_length': MESSAGE_BYTES_MAX },
  };
}
