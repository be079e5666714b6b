import { InvalidArgumentError } from 'commander';

/** Decimals of a pico-dollar, which is what providers' prices come down to. */
const DECIMALS = 12;

/** USD that a cap may be, in digits before the point: a billion. Larger ones are slips of a finger. */
const DIGITS_MAX = 9;

/**
 * Reads an amount of USD as pico-dollars, to the last digit that was written: no number of the language holds all of them.
 *
 * @throws InvalidArgumentError unless it is a decimal number above 0.
 */
export function parsePico(text: string): bigint {
  const [, whole = '', decimals = ''] = /^(?=\.?\d)(\d*)(?:\.(\d+))?$/.exec(text.trim()) ?? [];
  const kept = decimals.replace(/0+$/, '');
  const pico = BigInt(`${whole}${kept.padEnd(DECIMALS, '0')}` || '0');
  if (kept.length > DECIMALS) throw new InvalidArgumentError(`It may have at most ${DECIMALS} decimals.`);
  if (whole.replace(/^0+/, '').length > DIGITS_MAX)
    throw new InvalidArgumentError('It must be less than a billion USD.');
  if (pico > 0n) return pico;
  throw new InvalidArgumentError(
    'It must be an amount above 0 in USD, as 0.05: digits, with a point before the decimals.',
  );
}
