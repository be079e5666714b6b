import { readFileSync } from 'node:fs';
import type { RateLimitRule } from '../domain/quota/rate-limit.ts';
import { parseRateLimits } from '../domain/schemas/rate-limits.ts';
import { ConfigurationError, type Environment } from './config.ts';

/**
 * Reads the rate limits of providers: `PERDURE_MODEL_LIMITS` is JSON, or the path of a file with it. Without it there are none.
 *
 * @throws ConfigurationError for what cannot be used.
 */
export function readRateLimits(env: Environment): readonly RateLimitRule[] {
  const given = env['PERDURE_MODEL_LIMITS']?.trim() ?? '';
  if (given === '') return [];
  const parsed = parseRateLimits(parseJson(given.startsWith('{') ? given : readText(given)));
  if (parsed.kind === 'ok') return parsed.value;
  throw new ConfigurationError(`PERDURE_MODEL_LIMITS: ${parsed.problem}`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError(
      `PERDURE_MODEL_LIMITS must be JSON that begins with { or the path of a file with it; ${path} cannot be read (${code ?? 'unknown reason'})`,
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ConfigurationError(
      'PERDURE_MODEL_LIMITS is not JSON; write it as {"openai": {"requestsPerMinute": 500, "tokensPerMinute": 200000}}',
    );
  }
}
