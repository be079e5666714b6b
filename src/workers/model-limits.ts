import { findProvider, PROVIDER_NAMES } from '../activities/model/provider-table.ts';
import type { RateLimitRule } from '../domain/quota/rate-limit.ts';
import { ConfigurationError, type Environment } from '../runtime/config.ts';
import { readRateLimits } from '../runtime/rate-limits.ts';

/** Providers of our own, whose models play inside the worker. */
const OWN: readonly string[] = ['rehearsal', 'scripted', 'recorded'];

/**
 * Reads the rate limits of a worker's models.
 *
 * @throws ConfigurationError also for a provider that there is not: its limit would be none, and nobody would hear of it.
 */
export function readModelLimits(env: Environment): readonly RateLimitRule[] {
  const rules = readRateLimits(env);
  for (const { subject } of rules) {
    const [provider = ''] = subject.split(':');
    if (findProvider(provider) !== null || OWN.includes(provider)) continue;
    throw new ConfigurationError(
      `PERDURE_MODEL_LIMITS: ${subject} is of no provider; providers are ${PROVIDER_NAMES.join(', ')}`,
    );
  }
  return rules;
}
