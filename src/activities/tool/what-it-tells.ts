import { canonicalJson, type JsonValue, utf8Bytes } from '../../domain/json.ts';
import type { Stores } from '../../stores/stores.ts';
import type { ToolCall } from './tool-call.ts';

/**
 * Bytes from which a result tells the same whatever was asked for. A shorter one, such as `true` or `not found`, tells something about what was asked.
 */
const OWN_MEANING_BYTES = 200;

/** Characters of a digest: 66 bits, and a run compares some dozens. */
const DIGEST_LENGTH = 11;

/** Gives a digest of what a read has told, under the key of the scope, because it goes into history: a short result could be guessed from a plain hash. */
export async function whatItTells(
  { scopes }: Pick<Stores, 'scopes'>,
  { tenant, facts, tool, request }: Pick<ToolCall, 'tenant' | 'facts' | 'tool' | 'request'>,
  output: JsonValue,
): Promise<string> {
  const hasOwnMeaning = utf8Bytes(canonicalJson(output)) >= OWN_MEANING_BYTES;
  const told = [tool.contract.name, hasOwnMeaning ? null : request.argsHash, output];
  const keys = await scopes.keysOf(tenant, facts.scope);
  return keys.address(`tells ${canonicalJson(told)}`).slice(0, DIGEST_LENGTH);
}
