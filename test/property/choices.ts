/** Draws from a list of numbers that fast-check made, so that a failing run shrinks. Past its end every choice is the first one. */
export type Choices = {
  readonly below: (bound: number) => number;
  readonly oneOf: <Value>(values: readonly [Value, ...Value[]]) => Value;
  /** True once in `in` choices on average; false when the numbers are used up. */
  readonly isRare: (oneIn: number) => boolean;
  readonly isUsedUp: () => boolean;
};

/** Makes choices out of numbers. */
export function choicesFrom(numbers: readonly number[]): Choices {
  let position = 0;
  const below = (bound: number): number => {
    const number = numbers[position] ?? 0;
    position += 1;
    return number % bound;
  };
  return {
    below,
    oneOf: (values) => values[below(values.length)] ?? values[0],
    isRare: (oneIn) => below(oneIn) === oneIn - 1,
    isUsedUp: () => position >= numbers.length,
  };
}
