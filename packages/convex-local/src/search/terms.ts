/** Longer terms are not indexed: they are encoded data rather than words. */
const TERM_BYTES_MAX = 32;
const QUERY_TERMS_MAX = 16;

const NOT_IN_TERMS = /[^\p{Alphabetic}\p{N}]+/u;

/** The words of a text, lower case: letters and digits of any script, with nothing stemmed. */
export const termsOf = (text: string): string[] =>
  text
    .split(NOT_IN_TERMS)
    .map((term) => term.toLowerCase())
    .filter((term) => term !== "" && Buffer.byteLength(term) <= TERM_BYTES_MAX);

/**
 * What somebody searches for: documents with any of the terms, of which the last may be the beginning of a word.
 * Only the first 16 count; then each of them is whole.
 */
export function queryTerms(text: string): { terms: string[]; isLastPrefix: boolean } {
  const terms = termsOf(text);
  return { terms: terms.slice(0, QUERY_TERMS_MAX), isLastPrefix: terms.length <= QUERY_TERMS_MAX };
}
