import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type CountingProxy = {
  /** The database's address, through the proxy. */
  readonly url: string;
  /** Bytes that the server has sent so far. */
  readonly bytesRead: () => number;
  readonly close: () => void;
};

/** Passes connections on to a server and counts what the server sends. */
export async function startCountingProxy(databaseUrl: string): Promise<CountingProxy> {
  const target = new URL(databaseUrl);
  let bytes = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    upstream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.setNoDelay(true);
      from.on('error', () => to.destroy());
      from.on('close', () => open.delete(from));
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    bytesRead: () => bytes,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
