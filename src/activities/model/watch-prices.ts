import { isCeiling } from '../../domain/model/price.ts';
import type { Models } from './providers.ts';

/** A model of which nobody knows what it costs. `hasCeiling`: a person has said what it costs at most, so it is called all the same. */
export type UnknownPrice = { readonly modelId: string; readonly hasCeiling: boolean };

/** Tells of each call that is to be made to a model whose price nobody knows. */
export function watchPrices(models: Models, onUnknown: (unknown: UnknownPrice) => void): Models {
  return {
    ...models,
    resolve: async (choice) => {
      const resolved = await models.resolve(choice);
      const { id, price } = resolved;
      const hasCeiling = price !== null && isCeiling(price);
      if (price === null || hasCeiling) onUnknown({ modelId: id, hasCeiling });
      return resolved;
    },
  };
}
