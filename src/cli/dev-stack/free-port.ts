import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Report } from './report.ts';

/** Milliseconds until a silent local port counts as not listening; loopback answers in well under one. */
const probeMs = 500;

/** Finds a port of 127.0.0.1: the preferred one when it is free, otherwise one that the system picks. */
export async function freePort(preferred: number): Promise<number> {
  // A listener on all addresses does not stop a bind to one address everywhere, so ask by a connection as well.
  if (preferred !== 0 && (await answersTcp('127.0.0.1', preferred))) return bindOnce(0);
  try {
    return await bindOnce(preferred);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE' || code === 'EACCES') return bindOnce(0);
    throw error;
  }
}

/** Tells whether something accepts connections at an address. */
async function answersTcp(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(probeMs) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function bindOnce(port: number): Promise<number> {
  const server = createServer();
  server.listen({ host: '127.0.0.1', port, exclusive: true });
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
  return bound;
}

/** Finds a port like `freePort`, and says so when it is not the preferred one; 0 prefers none. */
export async function reportedPort(server: string, preferred: number, report: Report): Promise<number> {
  const port = await freePort(preferred);
  if (preferred !== 0 && port !== preferred) report(`port ${preferred} is taken, so ${server} is at port ${port}`);
  return port;
}
