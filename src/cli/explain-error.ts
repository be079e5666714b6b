import { InvalidInput, MessageRejected, RunNotFound, ScheduleExists, ScheduleNotFound } from '../client/index.ts';
import { ConfigurationError } from '../runtime/config.ts';
import { ModelUnavailable } from '../activities/model/model-errors.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import { inWordsOfPeople } from './words-of-people.ts';

export type Explanation = { readonly message: string; readonly exitCode: ExitCode };

/** gRPC's codes, by what a person can do about them. */
const GRPC_DENIED: readonly unknown[] = [7, 16];
const GRPC_UNAVAILABLE = 14;

/** PostgreSQL's and Node's codes of a database that cannot be reached, and of one without our tables. */
const DATABASE_AWAY = /^(?:ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ECONNRESET|57P0[123]|08\d{3})$/;
const DATABASE_DENIED = /^(?:28\w{3}|42501)$/;
const TABLE_MISSING = /^(?:42P01|3F000)$/;

/** Says in words what went wrong, and with which code the command ends. */
export function explainError(error: unknown): Explanation {
  if (error instanceof CommandError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof InvalidInput) return { message: inWordsOfPeople(error.message), exitCode: EXIT.usage };
  if (error instanceof ConfigurationError) return { message: error.message, exitCode: EXIT.usage };
  if (error instanceof ModelUnavailable) return { message: `${error.message}. ${error.mend}`, exitCode: EXIT.usage };
  if (error instanceof RunNotFound) return { message: error.message, exitCode: EXIT.notFound };
  if (error instanceof MessageRejected) return { message: inWordsOfPeople(error.message), exitCode: EXIT.conflict };
  if (error instanceof ScheduleNotFound) return { message: error.message, exitCode: EXIT.notFound };
  if (error instanceof ScheduleExists) return { message: error.message, exitCode: EXIT.conflict };
  return explainOutside(error);
}

/** Explains what a server or the network said. */
function explainOutside(error: unknown): Explanation {
  for (const { code, message } of causesOf(error)) {
    if (GRPC_DENIED.includes(code)) return { message: `Temporal refused: ${message}`, exitCode: EXIT.denied };
    if (code === GRPC_UNAVAILABLE) {
      return failed(`Temporal does not answer (${message}). Is npm start running, or TEMPORAL_ADDRESS right?`);
    }
    if (typeof code !== 'string') continue;
    if (DATABASE_DENIED.test(code)) return { message: `the database refused: ${message}`, exitCode: EXIT.denied };
    if (TABLE_MISSING.test(code)) return failed('the database has no tables of Perdure yet; npm start makes them');
    if (DATABASE_AWAY.test(code)) {
      return failed(`the database does not answer (${message || code}). Is npm start running, or DATABASE_URL right?`);
    }
  }
  return failed(error instanceof Error ? error.message : String(error));
}

function failed(message: string): Explanation {
  return { message, exitCode: EXIT.failed };
}

function causesOf(error: unknown): readonly { readonly code: unknown; readonly message: string }[] {
  const causes: { code: unknown; message: string }[] = [];
  const queue: unknown[] = [error];
  for (const current of queue) {
    if (!(current instanceof Error) || causes.length > 10) continue;
    causes.push({ code: 'code' in current ? current.code : null, message: current.message });
    // A name that resolves to two addresses fails with one error for each.
    queue.push(...(current instanceof AggregateError ? (current.errors as unknown[]) : []), current.cause);
  }
  return causes;
}
