import { Context } from '@temporalio/activity';
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { WorkerOptions } from '@temporalio/worker';
import type { Failpoint } from '../domain/failpoint.ts';
import { isArmed } from '../runtime/failpoints.ts';
import type { Environment } from '../runtime/config.ts';

/**
 * Gives the worker of workflows a hook for `workflow:task-done`, where that is armed: a codec that changes nothing sees what a workflow
 * task decided, and the server has not heard of it yet. Ordinary workers get nothing.
 */
export function taskFailpoint(env: Environment, failpoint: Failpoint): Pick<WorkerOptions, 'dataConverter'> {
  if (!isArmed(env, 'workflow:task-done')) return {};
  let isPassing = false;
  const codec: PayloadCodec = {
    encode: async (payloads) => {
      // A task encodes each of its decisions; they are one pass.
      if (isPassing || isInActivity() || payloads.every(isEmpty)) return payloads;
      isPassing = true;
      setImmediate(() => {
        isPassing = false;
      });
      await failpoint('workflow:task-done');
      return payloads;
    },
    decode: async (payloads) => payloads,
  };
  return { dataConverter: { payloadCodecs: [codec] } };
}

/** Results of activities pass the same codec. */
function isInActivity(): boolean {
  try {
    return Context.current() !== undefined;
  } catch {
    return false;
  }
}

/** Heartbeats carry nothing. */
function isEmpty({ data }: Payload): boolean {
  return data === null || data === undefined || data.length === 0;
}
