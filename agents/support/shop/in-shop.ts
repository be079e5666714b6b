import type { PoolClient } from 'pg';
import { ToolUnreachable, type ToolContext } from '../../../src/authoring/index.ts';
import { ensureShop } from './ensure-shop.ts';
import { poolOf } from './pool.ts';

/** Name of the secret with the database's URL; every tool of the shop declares it. */
export const SHOP_SECRET = 'DATABASE_URL';

export type ShopTransaction = {
  readonly context: ToolContext;
  readonly access: 'read only' | 'read write';
  /** The tool's own timeout: a statement that takes longer, or waits longer for a lock, is stopped by the server. */
  readonly timeoutMs: number;
};

/**
 * Runs queries in one transaction on the shop, which is created on first use.
 * When the signal fires the connection is closed, so that the server rolls back what is not committed.
 *
 * @throws ToolUnreachable when no query of `work` was sent. Any other failure leaves the outcome open and is let through.
 */
export async function inShop<Result>(
  transaction: ShopTransaction,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const { signal } = transaction.context;
  signal.throwIfAborted();
  const client = await openTransaction(transaction);
  let isReleased = false;
  const release = (close: 'keep' | 'close'): void => {
    if (isReleased) return;
    isReleased = true;
    client.release(close === 'close');
  };
  const stop = (): void => release('close');
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    const result = await work(client);
    signal.throwIfAborted();
    await client.query('commit');
    release('keep');
    return result;
  } catch (error) {
    release('close');
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Opens a transaction. Nothing of the request has been sent yet, so every failure here means that nothing changed. */
async function openTransaction({ context, access, timeoutMs }: ShopTransaction): Promise<PoolClient> {
  let client: PoolClient | undefined;
  try {
    const url = context.secret(SHOP_SECRET);
    await ensureShop(url);
    client = await poolOf(url).connect();
    await client.query(
      `begin ${access}; set local statement_timeout = ${timeoutMs}; set local idle_in_transaction_session_timeout = ${timeoutMs}`,
    );
    return client;
  } catch (error) {
    client?.release(true);
    if (error instanceof ToolUnreachable) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
    throw new ToolUnreachable(`The shop's database cannot be reached (${code}).`, { cause: error });
  }
}
