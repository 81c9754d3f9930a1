import type { PhraseKind, Wording } from "@tyto/contracts";

/** What a language needs to word Tyto's sentences. */
export type Phrasebook = {
  phrases: Readonly<Record<PhraseKind, string>>;
  /** Words at places that take one of a few. */
  terms: Readonly<Record<string, string>>;
  and: string;
  /** A sentence that is not among the phrases, such as a reason's or a rule's own. */
  other: (text: string) => string | undefined;
  number: (value: number) => string;
  date: (day: string, month: string) => string;
};

/** Words in one language: `en` where the book has none, empty where nobody knows, absent for that of the page. */
export type WordingPiece = { text: string; lang?: "en" | "" };

/** A sentence in the language of the book. What others said stays as it is. */
export function worded(wording: Wording, book: Phrasebook): WordingPiece[] {
  return joined(piecesOf(wording, book));
}

function piecesOf(wording: Wording, book: Phrasebook): WordingPiece[] {
  switch (wording.is) {
    case "phrase":
      return book.phrases[wording.kind].split(/(\{\w+\})/).flatMap((part) => {
        const value = wording.values[/^\{(\w+)\}$/.exec(part)?.[1] ?? ""];
        return value === undefined ? [{ text: part }] : piecesOf(value, book);
      });
    case "list": {
      const between = wording.between === " and " ? ` ${book.and} ` : wording.between;
      return wording.parts.flatMap((part, at) => [
        ...(at === 0 ? [] : [{ text: between }]),
        ...piecesOf(part, book),
      ]);
    }
    case "number":
      return [{ text: numberOf(wording.text, book) }];
    case "term":
      return [{ text: book.terms[wording.text] ?? wording.text }];
    case "date":
      return [{ text: dateOf(wording.text, book) }];
    case "word":
      return [{ text: wording.text }];
    case "quote":
      return [{ text: wording.text, lang: "" }];
    case "unknown": {
      const other = book.other(wording.text);
      return [other === undefined ? { text: wording.text, lang: "en" } : { text: other }];
    }
  }
}

/** `1,100` and `3.4 %` as the book writes them. */
const numberOf = (text: string, book: Phrasebook): string =>
  text.replace(/[\d,]+(?:\.\d+)?/, (digits) => book.number(Number(digits.replaceAll(",", ""))));

/** `24 Nov` as the book writes it. */
function dateOf(text: string, { terms, date }: Phrasebook): string {
  const [day = "", month = ""] = text.split(" ");
  return date(day, terms[month] ?? month);
}

function joined(pieces: readonly WordingPiece[]): WordingPiece[] {
  const all: WordingPiece[] = [];
  for (const piece of pieces) {
    const last = all.at(-1);
    if (piece.text === "") continue;
    if (last !== undefined && last.lang === piece.lang) last.text += piece.text;
    else all.push({ ...piece });
  }
  return all;
}
