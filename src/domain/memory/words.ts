/** Words with what joins them: `order`, `A-1012`, `ann@example.com`, `3.75`. */
const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:[-_.:/@'’][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*/gu;

/** Scripts that put no space between words. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

/** Longest word that is kept whole, in characters: what is longer is a key or a hash, and its beginning tells it. */
const WORD_LENGTH_MAX = 64;

/**
 * Takes a text apart into words to search by: lower case, joined words also by their parts, and pairs of characters where a script puts no
 * spaces.
 */
export function wordsIn(text: string): readonly string[] {
  return [...text.normalize('NFKC').toLowerCase().matchAll(WORD)].flatMap(([word]) => {
    if (UNSPACED.test(word)) return pairsOf(word);
    const parts = word.split(/[-_.:/@'’]/u).filter((part) => part !== '');
    return (parts.length > 1 ? [word, ...parts] : [word]).map((each) => each.slice(0, WORD_LENGTH_MAX));
  });
}

/** @see bigrams, the usual index of Chinese and Japanese text without a dictionary. */
function pairsOf(word: string): readonly string[] {
  const characters = Array.from(word);
  if (characters.length < 2) return characters;
  return characters.slice(1).map((character, index) => `${characters[index]}${character}`);
}
