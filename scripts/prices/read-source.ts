import { waitForUpdate } from '@pydantic/genai-prices';
import type { MatchRule } from '../../src/domain/model/match-rule.ts';

/** A price of the package: USD per unit, or one that changes above a number of input tokens. */
type SourcePrice =
  number | { readonly base: number; readonly tiers: readonly { readonly start: number; readonly price: number }[] };

export type SourcePrices = { readonly [key: string]: SourcePrice | undefined };

export type SourceModel = {
  readonly id: string;
  readonly match: MatchRule;
  readonly context_window?: number;
  readonly price_comments?: string;
  readonly prices:
    | SourcePrices
    | readonly {
        readonly constraint?:
          | { readonly type: 'start_date'; readonly start_date: string }
          | { readonly type: 'time_of_date'; readonly start_time: string; readonly end_time: string };
        readonly prices: SourcePrices;
      }[];
};

type SourceStep = string | { readonly type: string; readonly field: string; readonly match: MatchRule };

export type SourceExtractor = {
  readonly api_flavor: string;
  readonly root: string | readonly string[];
  readonly mappings: readonly {
    readonly path: string | readonly SourceStep[];
    readonly dest: string;
    readonly required: boolean;
  }[];
};

export type SourceProvider = {
  readonly id: string;
  readonly name: string;
  readonly fallback_model_providers?: readonly string[];
  readonly extractors?: readonly SourceExtractor[];
  readonly models: readonly SourceModel[];
};

/** Reads the data that is built into the package: what it holds before anything is updated. */
export async function readSource(): Promise<readonly SourceProvider[]> {
  const providers = await waitForUpdate();
  if (providers === null) throw new Error('@pydantic/genai-prices holds no data; install it again');
  return providers as readonly SourceProvider[];
}
