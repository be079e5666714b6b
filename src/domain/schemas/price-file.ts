import { z } from 'zod';
import { objectField, patternField, wholeField } from './fields.ts';

/** Pico-dollars are what is counted in, so a million tokens cannot cost parts of a millionth of a dollar. */
const AMOUNT = /^\d{1,6}(?:\.\d{1,6})?$/;
const EXPECTED_AMOUNT = 'must be USD from 0 to 999999 with at most 6 decimals, as 2.5 or "2.5"';

const usdField = z
  .union([z.string(), z.number()], EXPECTED_AMOUNT)
  .transform(String)
  .refine((text) => AMOUNT.test(text), EXPECTED_AMOUNT);

const pricesField = objectField({
  input: usdField,
  output: usdField,
  cacheRead: usdField.optional(),
  cacheWrite: usdField.optional(),
  cacheWriteHour: usdField.optional(),
  reasoning: usdField.optional(),
  audioInput: usdField.optional(),
  audioCacheRead: usdField.optional(),
  audioOutput: usdField.optional(),
  imageInput: usdField.optional(),
  imageCacheRead: usdField.optional(),
  imageOutput: usdField.optional(),
  videoInput: usdField.optional(),
  videoCacheRead: usdField.optional(),
  videoOutput: usdField.optional(),
  citation: usdField.optional(),
});

const modelField = objectField({
  id: patternField(
    /^[a-z][a-z0-9-]*:.{1,200}$/,
    'must be provider:model, such as "openai:gpt-5-mini"; a * at its end stands for any rest',
  ),
  /** USD per million tokens. */
  usdPerMillion: pricesField.optional(),
  /** The most that a million tokens of any kind can cost, where the prices are not known. */
  ceilingUsdPerMillion: usdField.optional(),
  tiers: z
    .array(
      objectField({ inputTokensAbove: wholeField(1, 'must be a whole number above 0'), usdPerMillion: pricesField }),
      'must be a list',
    )
    .refine(
      (tiers) => new Set(tiers.map(({ inputTokensAbove }) => inputTokensAbove)).size === tiers.length,
      'must have each inputTokensAbove once',
    )
    .optional(),
  usdPerRequest: usdField.optional(),
  usdPerWebSearch: usdField.optional(),
  batchPerMille: wholeField(0, 'must be a whole number of thousandths, 500 for half the price').max(1000).optional(),
  contextTokensMax: wholeField(1, 'must be a whole number above 0').optional(),
  validFrom: patternField(
    /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/,
    'must be a day as 2026-03-13',
  ).optional(),
})
  .refine(
    ({ usdPerMillion, ceilingUsdPerMillion }) => (usdPerMillion === undefined) !== (ceilingUsdPerMillion === undefined),
    'must have either usdPerMillion or ceilingUsdPerMillion',
  )
  .refine(
    ({ tiers, ceilingUsdPerMillion }) => tiers === undefined || ceilingUsdPerMillion === undefined,
    'must have no tiers beside ceilingUsdPerMillion, which holds for every number of tokens',
  );

/** The file that `PERDURE_PRICES_FILE` names. */
export const priceFileSchema = objectField({
  version: patternField(/^[\w.-]{1,64}$/, 'must be letters, digits, dots and dashes').optional(),
  models: z.array(modelField, 'must be a list of models with their prices'),
});

export type PriceFileModel = z.infer<typeof modelField>;
