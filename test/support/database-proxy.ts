import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to the database that can be broken. */
export type DatabaseProxy = {
  readonly url: string;
  /** Breaks every connection. */
  readonly cut: () => void;
  /** Breaks the next connection that commits, once the database has committed and before it can say so. */
  readonly loseCommit: () => void;
  /** Lets new connections hang, as a network does that drops packets. */
  readonly hold: () => void;
  /** Lets connections through again. */
  readonly release: () => void;
  readonly close: () => Promise<void>;
};

/** Starts a proxy before a database. */
export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const { hostname, port } = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let isHeld = false;
  let isLosing = false;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((inner) => {
    keep(inner);
    if (isHeld) return;
    const outer = keep(connect(Number(port), hostname));
    inner.pipe(outer).pipe(inner);
    inner.on('data', (chunk: Buffer) => {
      if (!isLosing || !chunk.includes('commit')) return;
      isLosing = false;
      outer.unpipe(inner);
      outer.once('data', () => inner.destroy()).resume();
    });
    inner.on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    loseCommit: () => {
      isLosing = true;
    },
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      cut();
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
