import type { ModelChoice } from '../model/model-policy.ts';

/** Share of the room above which a transcript is compacted before the next call, in thousandths: what one turn brings still fits. */
const LONG_PER_MILLE = 700;

/** Share of the room that a compacted prompt fills, in thousandths: half of the above, so that the next compaction is far away. */
const TARGET_PER_MILLE = 350;

/** The same where a call was already refused: its new input needs room too. */
const RETRY_TARGET_PER_MILLE = 250;

/** Share of the room that a summary may fill, in thousandths. */
const SUMMARY_PER_MILLE = 100;

/** Share of the room that must be won, in thousandths: less is not worth a call. */
const WORTH_PER_MILLE = 100;

/** Bytes of prose in a token, where nobody has counted. */
const USUAL_BYTES_PER_TOKEN = 4;

/** Bytes in a token after a call was refused: the text is denser than was thought. */
const DENSE_BYTES_PER_TOKEN = 3;

/** No tokenizer packs more bytes of prose, code or JSON into a token on average. */
const BYTES_PER_TOKEN_MAX = 8;

type Choice = Pick<ModelChoice, 'contextTokensMax' | 'outputTokensMax'>;

/** Counts the tokens that a prompt may have beside the reply. A model that may fill its whole context with a reply leaves half of it. */
export function contextRoom({ contextTokensMax, outputTokensMax }: Choice): number {
  return Math.max(1, contextTokensMax - outputTokensMax, Math.floor(contextTokensMax / 2));
}

/** Tells whether a prompt of so many tokens leaves too little room for the turns to come. */
export function isContextLong(choice: Choice, tokens: number): boolean {
  return tokens * 1000 > contextRoom(choice) * LONG_PER_MILLE;
}

/** Tells whether a prompt of so many bytes cannot fit for certain, before anybody has counted its tokens. */
export function isTooLongForCertain({ contextTokensMax }: Choice, bytes: number): boolean {
  return bytes / BYTES_PER_TOKEN_MAX > contextTokensMax;
}

/** Bytes that a summary may have. */
export function summaryBytesMax(choice: Choice): number {
  return share(choice, SUMMARY_PER_MILLE) * USUAL_BYTES_PER_TOKEN;
}

/** Bytes that the user's first words may have to be kept as they are: as many as a summary. */
export function firstBytesMax(choice: Choice): number {
  return summaryBytesMax(choice);
}

/**
 * Says how much of a transcript may be kept, in bytes.
 *
 * @param measured What the provider counted for a prompt, or null after it refused one without counting.
 * @param fixedBytes Instructions and tools.
 */
export function roomToKeep(
  choice: Choice,
  measured: { readonly bytes: number; readonly tokens: number } | null,
  fixedBytes: number,
): { readonly keepBytes: number; readonly firstBytesMax: number; readonly replacedBytesMin: number } {
  const bytesPerToken =
    measured === null
      ? DENSE_BYTES_PER_TOKEN
      : Math.min(BYTES_PER_TOKEN_MAX, Math.max(1, measured.bytes / Math.max(1, measured.tokens)));
  const target = share(choice, measured === null ? RETRY_TARGET_PER_MILLE : TARGET_PER_MILLE) * bytesPerToken;
  return {
    keepBytes: Math.max(0, Math.floor(target - fixedBytes - summaryBytesMax(choice))),
    firstBytesMax: firstBytesMax(choice),
    replacedBytesMin: measured === null ? 1 : Math.floor(share(choice, WORTH_PER_MILLE) * bytesPerToken),
  };
}

function share(choice: Choice, perMille: number): number {
  return Math.floor((contextRoom(choice) * perMille) / 1000);
}
