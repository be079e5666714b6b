/** No word of a language is longer: the rest of a key or of encoded data says nothing, and endings are sought in bounded time. */
const WORD_LENGTH_MAX = 64;
/** Words of questions and sentences that say nothing about what is asked. */
const COMMON = new Set(
  `a about after all also am an and any are as at be been before being between both but by can cannot could did do does doing done for from
  get gets give gives had happen happened happens has have how i if in into is it its itself just know let like long make makes many may me
  mean means might more most much must my need no not of off on one only or other our out over own please say says shall she should so some
  such tell than that the their them then there these they thing this those through to too under until up us use used uses using very was way
  we were what when where whether which while who whom whose why will with within without would you your`.split(/\s+/),
);

/**
 * Lists the words of a text for comparing: lower case, without common words and endings. A name in camelCase gives itself and its parts.
 */
export function wordsOf(text: string): readonly string[] {
  return [...text.normalize('NFKC').matchAll(/[\p{L}\p{M}\p{N}]+/gu)]
    .flatMap(([word]) => [word, ...partsOfName(word)])
    .map((word) => word.slice(0, WORD_LENGTH_MAX).toLowerCase())
    .filter((word) => !COMMON.has(word))
    .map(stem);
}

function partsOfName(word: string): readonly string[] {
  const parts = word.split(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})/u);
  return parts.length > 1 ? parts : [];
}

/** Takes English endings off, only so far that the forms of a word meet: retry, retries and retried are `retri`. */
function stem(word: string): string {
  const singular = word.length > 4 && word.endsWith('ies') ? `${word.slice(0, -3)}y` : word.replace(/(?<=[^su])s$/, '');
  const root = /^(.*[aeiouy].*[^aeo])(?:ed|ing)$/.exec(singular)?.[1];
  const base = root !== undefined && root.length >= 3 ? root.replace(/([bdgmnprt])\1$/, '$1') : singular;
  return base.replace(/(?<=.{3})e$/, '').replace(/(?<=.{2})y$/, 'i');
}
