import type { PoolClient } from 'pg';
import { ToolRefusal, type ToolContext } from '../../../src/authoring/index.ts';
import { inShop } from './in-shop.ts';

/** What a write came to. A refusal is decided before the first change, and kept like a result. */
export type WriteOutcome<Result> =
  { readonly kind: 'done'; readonly result: Result } | { readonly kind: 'refused'; readonly message: string };

/** Makes a refused outcome. */
export function refused(message: string): WriteOutcome<never> {
  return { kind: 'refused', message };
}

export type KeyedWrite<Result> = {
  /** Name of the operation: a key belongs to one operation and one request. */
  readonly operation: string;
  readonly request: object;
  readonly timeoutMs: number;
  readonly work: (client: PoolClient) => Promise<WriteOutcome<Result>>;
};

/**
 * Does a write once for its idempotency key and gives every later send the first outcome, a refusal included.
 * The key is inserted in the transaction of the write: a second send waits at the unique index until the first
 * has committed or rolled back.
 *
 * @throws ToolRefusal when the write is refused, or when the key was used for another request.
 */
export async function onceByKey<Result>(context: ToolContext, write: KeyedWrite<Result>): Promise<Result> {
  const transaction = { context, access: 'read write', timeoutMs: write.timeoutMs } as const;
  const outcome = await inShop(transaction, async (client) => {
    const isFirst = await takeKey(client, context, write);
    if (!isFirst) return firstOutcome(client, context.idempotencyKey, write);
    const fresh = await write.work(client);
    await client.query('update shop.effect_log set outcome = $2 where idempotency_key = $1', [
      context.idempotencyKey,
      JSON.stringify(fresh),
    ]);
    return fresh;
  });
  if (outcome.kind === 'refused') throw new ToolRefusal(outcome.message);
  return outcome.result;
}

async function takeKey(client: PoolClient, context: ToolContext, write: KeyedWrite<unknown>): Promise<boolean> {
  const { rowCount } = await client.query(
    `insert into shop.effect_log (idempotency_key, operation, request, agent_run_id)
     values ($1, $2, $3, $4) on conflict (idempotency_key) do nothing`,
    [context.idempotencyKey, write.operation, JSON.stringify(write.request), context.agentRunId],
  );
  return rowCount === 1;
}

async function firstOutcome<Result>(
  client: PoolClient,
  key: string,
  write: KeyedWrite<Result>,
): Promise<WriteOutcome<Result>> {
  const { rows } = await client.query<{ outcome: WriteOutcome<Result> }>(
    `select outcome from shop.effect_log where idempotency_key = $1 and operation = $2 and request = $3::jsonb`,
    [key, write.operation, JSON.stringify(write.request)],
  );
  return rows[0]?.outcome ?? refused('This idempotency key was already used for another request.');
}
