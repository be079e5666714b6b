import { canonicalJson, isDeeperThan, type JsonValue, utf8Bytes } from '../json.ts';
import { LIMITS } from './limits.ts';

/**
 * Says why a JSON value from outside cannot be taken, or null when it can. A signal comes as it was sent, so nothing is taken for granted: what
 * counts or hashes a value later calls itself for every level, and JSON can write numbers that none can hold.
 */
export function jsonProblem(start: 'arguments have' | 'output has', value: unknown, instead: string): string | null {
  if (isDeeperThan(value, LIMITS.outputDepthMax)) {
    return `${start} more than ${LIMITS.outputDepthMax} levels; send a flatter value`;
  }
  if (hasBrokenNumber(value as JsonValue)) return `${start} a number that is beyond what JSON can hold`;
  const bytes = utf8Bytes(canonicalJson(value));
  if (bytes <= LIMITS.inputBytesMax) return null;
  return `${start} ${bytes} bytes, at most ${LIMITS.inputBytesMax} are taken; ${instead}`;
}

function hasBrokenNumber(value: JsonValue): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return value !== null && typeof value === 'object' && Object.values<JsonValue>(value).some(hasBrokenNumber);
}
