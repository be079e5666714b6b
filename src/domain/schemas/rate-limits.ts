import { z } from 'zod';
import type { RateLimitRule } from '../quota/rate-limit.ts';
import { parse, type Parsed } from './parse.ts';

const limitSchema = z
  .strictObject(
    {
      requestsPerMinute: z.number('must be a number').min(2, 'must be at least 2').optional(),
      tokensPerMinute: z.number('must be a number').min(100, 'must be at least 100').optional(),
      countsCacheReads: z.boolean('must be true or false').optional(),
      windowSeconds: z.number('must be a number').min(1, 'must be at least 1').max(60, 'must be at most 60').optional(),
    },
    'must have requestsPerMinute, tokensPerMinute or both, and may have windowSeconds and countsCacheReads',
  )
  .refine(
    ({ requestsPerMinute, tokensPerMinute }) => requestsPerMinute !== undefined || tokensPerMinute !== undefined,
    {
      error: 'must have requestsPerMinute, tokensPerMinute or both',
    },
  );

const limitsSchema = z.record(
  z.string().regex(/^[a-z][a-z0-9-]*(:.+)?$/, 'must be a provider or provider:model'),
  limitSchema,
  'must be an object such as {"openai": {"requestsPerMinute": 500, "tokensPerMinute": 200000}}',
);

/** Reads the rate limits of providers and models, as operators write them. */
export function parseRateLimits(value: unknown): Parsed<readonly RateLimitRule[]> {
  const parsed = parse(limitsSchema, value);
  if (parsed.kind === 'problem') return parsed;
  const rules = Object.entries(parsed.value).map(([subject, given]): RateLimitRule => {
    const windowMs = Math.round((given.windowSeconds ?? 60) * 1_000);
    const inWindow = (perMinute: number | undefined): number | null =>
      perMinute === undefined ? null : (perMinute * windowMs) / 60_000;
    const limit = {
      windowMs,
      requests: inWindow(given.requestsPerMinute),
      tokens: inWindow(given.tokensPerMinute),
      ...(given.countsCacheReads === false ? { freeCacheReads: true as const } : {}),
    };
    return { subject, limit };
  });
  const tooFew = rules.find(({ limit }) => limit.requests !== null && limit.requests < 1);
  if (tooFew === undefined) return { kind: 'ok', value: rules };
  return {
    kind: 'problem',
    problem: `${tooFew.subject} allows less than one request in ${tooFew.limit.windowMs / 1_000} s; make windowSeconds longer`,
  };
}
