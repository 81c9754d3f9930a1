import { readPhrases, reasons } from "@tyto/contracts";
import type { Phrasebook, WordingPiece } from "~/utils/wording.ts";
import { germanPhrases, germanRules, germanTerms } from "~~/i18n/phrases.de.ts";

const reasonBySay = new Map<string, string>(
  Object.entries(reasons).map(([reason, { say }]) => [say, `reason.${reason.replaceAll(".", "-")}`]),
);

/** Tyto's English sentences, which the API tells, in the language of the page. */
export function useWording() {
  const { t, locale } = useI18n();
  const { language } = useFormat();
  const book = computed<Phrasebook>(() => ({
    phrases: germanPhrases,
    terms: germanTerms,
    and: "und",
    other: (text) => {
      const reason = reasonBySay.get(text);
      return reason === undefined ? germanRules[text] : t(reason);
    },
    number: (value) => value.toLocaleString(language.value),
    date: (day, month) => `${day}. ${month}`,
  }));
  /** `isAnybodys`: where it is no sentence of Tyto's, a person wrote it, in whatever language. */
  function pieces(text: string, isAnybodys = false): WordingPiece[] {
    if (locale.value === "en") return [{ text }];
    const wording = readPhrases(text);
    return wording.is === "unknown" && isAnybodys ? [{ text, lang: "" }] : worded(wording, book.value);
  }
  return {
    pieces,
    words: (text: string) =>
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
  };
}
