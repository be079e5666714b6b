import { startTelemetry, type Telemetry } from '../runtime/telemetry.ts';
import type { Cli } from './cli.ts';

let opened: Promise<Telemetry | null> | null = null;

/** Starts the tracing of this process where its environment asks for it; workers and clients of one process share it. */
export async function openTelemetry({ env }: Pick<Cli, 'env'>): Promise<Telemetry | null> {
  opened ??= startTelemetry(env, 'perdure-cli');
  return opened;
}

/** Sends what is left to be sent. */
export async function closeTelemetry(): Promise<void> {
  const closing = opened;
  opened = null;
  // That it could not be started was said where it was asked for.
  await (await closing?.catch(() => null))?.shutdown();
}
