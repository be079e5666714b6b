import { BUILT_IN_PRICES, findPrice, listOf, type PriceBook } from './price-table.ts';
import { type CostParts, costParts } from './price.ts';
import {
  findExtractor,
  readTokenCounts,
  readTotal,
  type TokenCounts,
  type UsageExtractor,
  usageOf,
} from './usage-reading.ts';
import { withTotal } from './usage-total.ts';
import { isPossible, type Usage } from './usage.ts';

/** A reply that a program got from a provider. */
export type BilledReply = {
  /** As in ids of models, or as the table names it: `openai`, `bedrock` or `aws`, `openrouter`. */
  readonly provider: string;
  /** Interface that was called: `chat`, `responses`, `messages`. Without it, and where it has no way of its own, the reply itself shows it. */
  readonly api?: string;
  /** As the provider has it, with or without a date. */
  readonly model: string;
  /** The whole reply as the provider wrote it, parsed; of a stream the event that has the usage. */
  readonly body: unknown;
  /** When the call began, in milliseconds since 1970: prices change at dates and hours. Default: the present of the prices, which is the day of the table where none are given. */
  readonly at?: number;
};

/** What a reply used and cost. Null is what is not known; it is never 0 for that. */
export type Bill = {
  /** By the words of the table, as the provider said them. */
  readonly tokens: TokenCounts | null;
  readonly usage: Usage | null;
  /** Pico-dollars (10⁻¹² USD): for input, output and the request itself. */
  readonly cost: CostParts | null;
  readonly costPico: bigint | null;
  /** Version of the table, or of the file, that the price is from. */
  readonly priceVersion: string | null;
};

/** Reads what a reply used and computes what it cost. Usage that contradicts itself is not known. */
export function billReply(reply: BilledReply, book: PriceBook = BUILT_IN_PRICES): Bill {
  const { provider, model, at } = reply;
  const list = listOf(provider.toLowerCase().trim());
  const extractor = findExtractor(list, reply.api, reply.body);
  const tokens = extractor === null ? null : readTokenCounts(extractor, reply.body);
  const usage = extractor === null || tokens === null ? null : possibleUsage(extractor, tokens, reply.body);
  const found = findPrice(provider.toLowerCase().trim(), model, at === undefined ? book : { ...book, now: () => at });
  const cost = found === null || usage === null ? null : costParts(found.price, usage);
  return {
    tokens,
    usage,
    cost,
    costPico: cost === null ? null : cost.input + cost.output + cost.other,
    priceVersion: cost === null ? null : (found?.price.version ?? null),
  };
}

function possibleUsage(extractor: UsageExtractor, tokens: TokenCounts, body: unknown): Usage | null {
  const usage = withTotal(usageOf(tokens), readTotal(extractor, body));
  return isPossible(usage) ? usage : null;
}
