/** A source of numbers that gives the same sequence for the same seed. */
export type Random = {
  /** Gives an integer from `min` to `max`, both included. */
  readonly integer: (min: number, max: number) => number;
  readonly pick: <Item>(items: readonly Item[]) => Item;
};

/** Makes a source of numbers from a 32-bit seed: mulberry32, enough for test data, not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return { integer, pick: (items) => items[integer(0, items.length - 1)] as (typeof items)[number] };
}
