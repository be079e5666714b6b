import { isBankAccount, isCardNumber } from './checksums.ts';

/** What a masker looks for. Equal values of one kind get equal masks: `[email-1]`. */
export type MaskKind = {
  /** Stands in the mask: lower-case letters. */
  readonly name: string;
  readonly pattern: RegExp;
  /** Tells what only looks like it from what is it. */
  readonly isValue?: (text: string) => boolean;
};

/** A place in a text and what comes there instead. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string };

export type Masker = {
  /** Finds what is to be masked. Masks that are there already are numbered anew, in the order in which values first appear. */
  readonly edits: (text: string) => readonly Edit[];
  readonly mask: (text: string) => string;
  /** Masks the whole text. */
  readonly maskWhole: (kind: string, text: string) => string;
  /** Gives the value behind a mask, where this masker has seen it. */
  readonly valueOf: (mask: string) => string | undefined;
  /** Gives what a mask that it was given became, where it has seen it. */
  readonly renumbered: (mask: string) => string | undefined;
};

/** Names of what is secret, whatever stands before them: `OPENAI_API_KEY`, `clientSecret`, `db_password`. */
const SECRET_NAMES =
  'api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|secret[-_ ]?(?:access[-_ ]?)?key|(?:access|refresh|auth|bearer|session|security)[-_ ]?token|passw(?:or)?d|passphrase|secret';

/** A name of a member whose text is a secret, whatever it looks like. */
export const SECRET_MEMBER = new RegExp(`(?:${SECRET_NAMES}|authorization|cookie|credentials?)$`, 'i');

/** What is masked in every recording. Earlier kinds go first where two fit. All repetitions are bounded: a request has megabytes. */
export const MASK_KINDS: readonly MaskKind[] = [
  {
    name: 'key',
    pattern: new RegExp(
      [
        String.raw`-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`,
        String.raw`(?<=\b(?:bearer|basic)\s{1,4})[\w~+/.=-]{6,}`,
        String.raw`\borg-[A-Za-z\d]{16,}`,
        String.raw`\b(?:sk|pk|rk|xai|gsk|hf|r8|nvapi|xox[abprs]|gh[pousr]|glpat|github_pat)[-_][\w-]{8,}`,
        String.raw`\bAIza[\w-]{20,}`,
        String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{12,}`,
        String.raw`\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]+)?`,
        String.raw`(?<=:\/\/)[^\s/@:]+:[^\s/@]+(?=@)`,
        String.raw`(?<=(?:${SECRET_NAMES})["']?\s{0,4}[=:]\s{0,4}["']?)(?!(?:true|false|null)\b)[^\s"',;[\]{}]{4,}`,
      ].join('|'),
      'giu',
    ),
  },
  { name: 'email', pattern: /[\p{L}\d._%+-]{1,64}@[\p{L}\d-]{1,63}(?:\.[\p{L}\d-]{1,63}){0,8}\.\p{L}{2,63}/gu },
  { name: 'iban', pattern: /\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b/gu, isValue: isBankAccount },
  { name: 'card', pattern: /(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])/gu, isValue: isCardNumber },
  {
    name: 'phone',
    pattern:
      /(?<![\w+]|\d[ -])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ /]\d{3,4}(?:[ -]?\d{2,4}){1,2})(?![\w-])/gu,
  },
];

/**
 * Makes a masker for one exchange: what it numbers begins at 1, so equal exchanges have equal masks, in whichever process.
 *
 * @param secrets Texts that are masked as keys wherever they stand.
 */
export function createMasker(given: readonly MaskKind[] = MASK_KINDS, secrets: readonly string[] = []): Masker {
  const kinds = [...literals(secrets), ...given];
  const seen = new Map(kinds.map(({ name }) => [name, new Map<string, number>()]));
  const masks = new RegExp(String.raw`\[(${kinds.map(({ name }) => name).join('|')})-\d+\]`, 'g');
  const numbered = (kind: string, value: string): string => {
    const numbers = seen.get(kind) ?? new Map<string, number>();
    const number = numbers.get(value) ?? numbers.size + 1;
    numbers.set(value, number);
    return `[${kind}-${number}]`;
  };
  const edits = (written: string): readonly Edit[] => {
    const { text, placeOf } = withoutEscapes(written);
    let found: readonly Found[] = [...text.matchAll(masks)].map((match) => foundAt(match, match[1] ?? ''));
    for (const { name, pattern, isValue } of kinds) {
      const own = [...text.matchAll(pattern)].filter(([value]) => value !== '' && isValue?.(value) !== false);
      found = withFree(
        found,
        own.map((match) => foundAt(match, name)),
      );
    }
    return found.map(({ start, end, kind }) => ({
      start: placeOf(start),
      end: placeOf(end),
      text: numbered(kind, text.slice(start, end)),
    }));
  };
  return {
    edits,
    mask: (text) => applyEdits(text, edits(text)),
    maskWhole: numbered,
    renumbered: (mask) => {
      const [, kind = ''] = /^\[([a-z]+)-\d+\]$/.exec(mask) ?? [];
      const number = seen.get(kind)?.get(mask);
      return number === undefined ? undefined : `[${kind}-${number}]`;
    },
    valueOf: (mask) => {
      const [, kind = '', number = ''] = /^\[([a-z]+)-(\d+)\]$/.exec(mask) ?? [];
      return [...(seen.get(kind) ?? [])].find(([, known]) => known === Number(number))?.[0];
    },
  };
}

/** Lengths below which a text is no secret: it would be masked in the middle of words. */
const SECRET_LENGTH_MIN = 8;

function literals(secrets: readonly string[]): readonly MaskKind[] {
  const long = [...new Set(secrets)].filter(({ length }) => length >= SECRET_LENGTH_MIN);
  if (long.length === 0) return [];
  const sources = long.toSorted((a, b) => b.length - a.length).map((secret) => RegExp.escape(secret));
  return [{ name: 'key', pattern: new RegExp(sources.join('|'), 'g') }];
}

/** An escape as JSON has it; with more backslashes where JSON stands inside JSON. */
const ESCAPE = /(?<!\\)\\+(?:u([\dA-Fa-f]{4})|([bfnrt"/]))/g;

const ESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * Reads a text as if it were the words of JSON: the letter of an escape such as `\n` is no part of the word after it, and never of a value.
 *
 * @returns the text that is read, and where in the written one a place of it is.
 */
function withoutEscapes(written: string): { readonly text: string; readonly placeOf: (place: number) => number } {
  if (!written.includes('\\')) return { text: written, placeOf: (place) => place };
  const pieces: string[] = [];
  const shifts: { readonly from: number; readonly by: number }[] = [{ from: 0, by: 0 }];
  let [read, from, by] = [0, 0, 0];
  for (const { 0: escape, 1: code, 2: letter = '', index } of written.matchAll(ESCAPE)) {
    const character = code === undefined ? (ESCAPED[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16));
    pieces.push(written.slice(from, index), character);
    read += index - from + 1;
    from = index + escape.length;
    by += escape.length - 1;
    shifts.push({ from: read, by });
  }
  pieces.push(written.slice(from));
  return { text: pieces.join(''), placeOf: (place) => place + shiftAt(shifts, place) };
}

/** Finds the last shift that begins at a place or before it. */
function shiftAt(shifts: readonly { readonly from: number; readonly by: number }[], place: number): number {
  let [low, high] = [0, shifts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((shifts[middle]?.from ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  return shifts[low]?.by ?? 0;
}

type Found = { readonly start: number; readonly end: number; readonly kind: string };

function foundAt({ index, 0: value }: RegExpExecArray, kind: string): Found {
  return { start: index, end: index + value.length, kind };
}

/** Adds to what was found what lies between it. Both are in order. */
function withFree(found: readonly Found[], more: readonly Found[]): readonly Found[] {
  if (more.length === 0) return found;
  const merged: Found[] = [];
  let next = 0;
  for (const each of more) {
    for (let taken = found[next]; taken !== undefined && taken.start < each.end; taken = found[next]) {
      merged.push(taken);
      next += 1;
    }
    if ((merged.at(-1)?.end ?? 0) <= each.start) merged.push(each);
  }
  return [...merged, ...found.slice(next)];
}

/** Writes a text with its edits, which are in order and do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let written = '';
  let from = 0;
  for (const edit of edits) {
    written += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return written + text.slice(from);
}
