import type { Fetch } from '../model/wire-model.ts';

/** Headers and parameters that say who calls. */
const CREDENTIAL = /auth|key|token|secret|cookie|signature|credential|sig$/i;

/** Lists the secrets that a request is sent with: a provider that refuses it may repeat them, and of many no pattern knows their shape. */
export function secretsOf(input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): readonly string[] {
  const url = new URL(input instanceof Request ? input.url : input);
  const named = [...new Headers(init?.headers), ...url.searchParams].filter(([name]) => CREDENTIAL.test(name));
  return [...named.flatMap(([, value]) => partsOf(value)), url.username, url.password].flatMap((text) => [
    text,
    decode(text),
  ]);
}

/** Takes `Bearer KEY` apart, and `AWS4-HMAC-SHA256 Credential=ID/DAY/REGION/…, SignedHeaders=…, Signature=…`. */
function partsOf(value: string): readonly string[] {
  const words = value.split(/[\s,;]+/);
  const assigned = words.flatMap((word) => /^(?:Credential|Signature)=([^/]+)/.exec(word)?.[1] ?? []);
  return words.length === 1 ? words : [...(assigned.length > 0 ? assigned : words.slice(1))];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
