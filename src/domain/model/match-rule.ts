/** Says which names a price is for. Letters are compared in lower case, except by `regex`, which sees the name in lower case. */
export type MatchRule =
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string }
  | { readonly or: readonly MatchRule[] }
  | { readonly and: readonly MatchRule[] };

/** Tells whether a rule is for a name, which is given in lower case. */
export function matches(rule: MatchRule, name: string): boolean {
  if ('or' in rule) return rule.or.some((each) => matches(each, name));
  if ('and' in rule) return rule.and.every((each) => matches(each, name));
  if ('equals' in rule) return name === rule.equals.toLowerCase();
  if ('starts_with' in rule) return name.startsWith(rule.starts_with.toLowerCase());
  if ('ends_with' in rule) return name.endsWith(rule.ends_with.toLowerCase());
  if ('contains' in rule) return name.includes(rule.contains.toLowerCase());
  return new RegExp(rule.regex).test(name);
}

/** Gives the first name, or piece of one, that a rule spells out. */
export function literalOf(rule: MatchRule): string | null {
  if ('equals' in rule) return rule.equals;
  if ('starts_with' in rule) return rule.starts_with;
  if ('ends_with' in rule) return rule.ends_with;
  if ('contains' in rule) return rule.contains;
  if ('regex' in rule) return null;
  for (const each of 'or' in rule ? rule.or : rule.and) {
    const literal = literalOf(each);
    if (literal !== null) return literal;
  }
  return null;
}
