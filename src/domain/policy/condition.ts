import { canonicalJson, type JsonValue } from '../json.ts';

/** A test on the arguments of a tool call, as data. `path` is dotted: `refund.amountUsd`. Every bound given must hold. */
export type Condition = {
  readonly path: string;
  readonly above?: number;
  readonly below?: number;
  readonly equals?: JsonValue;
};

/**
 * Tells whether the arguments meet the condition. A missing value, or one that is no number where a bound asks for one, meets it: a
 * rule must not be dodged by leaving a field out.
 */
export function meetsCondition(condition: Condition, input: JsonValue): boolean {
  const value = valueAt(input, condition.path);
  if (value === undefined) return true;
  if (condition.equals !== undefined && canonicalJson(value) !== canonicalJson(condition.equals)) return false;
  if (condition.above === undefined && condition.below === undefined) return true;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) return true;
  if (condition.above !== undefined && !(number > condition.above)) return false;
  return condition.below === undefined || number < condition.below;
}

function valueAt(input: JsonValue, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = input;
  for (const key of path.split('.')) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as { readonly [key: string]: JsonValue })[key];
  }
  return value;
}
