import { z } from 'zod';

const PICO = /^[1-9]\d{0,17}$/;

/** A text of a pattern. Every way to miss it has the same problem: what was expected. */
export function patternField(pattern: RegExp, expected: string) {
  return z.string(expected).regex(pattern, expected);
}

/** A short text: an id, a key, a name. 200 characters is what the core takes. */
export function shortField(what: string) {
  const expected = `must be ${what}, a text of 1 to 200 characters`;
  return z.string(expected).min(1, expected).max(200, expected);
}

/** A whole number from `min` upwards. */
export function wholeField(min: number, expected: string) {
  return z.int(expected).min(min, expected);
}

/** An amount of each kind that a run can use up. */
export function amountFields() {
  const amount = wholeField(1, 'must be a whole number above 0').optional();
  return {
    costPico: patternField(PICO, 'must be pico-dollars as a decimal text; 0.25 USD is "250000000000"').optional(),
    tokens: amount,
    turns: amount,
    toolCalls: amount,
    activeMs: amount,
  };
}

/** An object with these members only, so that a misspelt option says which there are. */
export function objectField<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue): string =>
      issue.code === 'unrecognized_keys'
        ? `must have only the options ${Object.keys(shape).join(', ')}; ${issue.keys.join(', ')} is none of them`
        : `must be an object with ${Object.keys(shape).join(', ')}`,
  });
}
