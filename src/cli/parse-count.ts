import { InvalidArgumentError } from 'commander';

/** Reads the count of a list, from 1 to 1000. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1_000) return count;
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}
