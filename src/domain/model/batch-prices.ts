/**
 * What the batch lane of a provider costs, in thousandths of the price of a call that is answered at once; the table of prices says nothing of
 * it. Who is not named has no such lane, or charges the same.
 */
const BATCH_PER_MILLE: Readonly<Record<string, number>> = {
  openai: 500,
  azure: 500,
  anthropic: 500,
  google: 500,
  aws: 500,
  mistral: 500,
  groq: 500,
  'x-ai': 500,
};

/** Gives the price of a list's batch lane relative to the list, in thousandths. */
export function batchPerMilleOf(list: string): bigint {
  return BigInt(Object.hasOwn(BATCH_PER_MILLE, list) ? (BATCH_PER_MILLE[list] ?? 1000) : 1000);
}
