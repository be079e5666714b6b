import type { Connection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLazily } from '../../runtime/connection.ts';

/** Milliseconds between two questions to a server that is starting. */
const pollMs = 50;

/** Milliseconds for one answer. */
const answerMs = 2_000;

/** Connects to a server on this machine, past any proxy that the environment names. */
export function connectLocally(address: string): Connection {
  const retryFast = { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 500 };
  return connectLazily({ address, channelArgs: { 'grpc.enable_http_proxy': 0, ...retryFast } });
}

/** Asks a server once whether it serves a namespace. */
export async function servesNamespace(connection: Connection, namespace: string): Promise<boolean> {
  try {
    await connection.withDeadline(Date.now() + answerMs, async () => {
      // Describing a namespace reads the database; counting runs asks those who do the work, who learn of it later.
      await connection.workflowService.countWorkflowExecutions({ namespace });
    });
    return true;
  } catch {
    return false;
  }
}

/** Asks until a server serves a namespace; gives up when the time is over or `hasEnded` says so. */
export async function waitUntilServing(
  connection: Connection,
  namespace: string,
  limits: { readonly timeoutMs: number; readonly hasEnded: () => boolean },
): Promise<boolean> {
  const deadline = Date.now() + limits.timeoutMs;
  while (Date.now() < deadline && !limits.hasEnded()) {
    if (await servesNamespace(connection, namespace)) return true;
    await sleep(pollMs);
  }
  return false;
}
