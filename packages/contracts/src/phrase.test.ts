import { expect, test } from "bun:test";
import { phrase, readPhrases, type Wording } from "./phrase.ts";
import { type PhraseKind, phrases } from "./phrases.ts";

const examples: Record<string, string> = {
  word: "mx.example.com",
  term: "bulk",
  number: "1,100",
  code: "421",
  share: "3.4 %",
  date: "24 Nov",
  label: "La Poste",
  names: "127.0.0.2, 127.0.0.3",
  phrase: "others were quicker",
  said: "their hands are full, and ours",
  quote: "Try again; later, please (4.7.0)",
};
const kinds = Object.keys(phrases) as PhraseKind[];
/** A sentence of the kind with an example at each place. */
const exampleOf = (kind: PhraseKind): string =>
  phrases[kind].replace(
    /\{\w+(?::(\w+))?\}/g,
    (_, type = "word") => examples[type] ?? `no example of ${type}`,
  );

/** `[kind place=value …]`, short enough to be compared. */
function told(wording: Wording): string {
  if (wording.is === "list") return wording.parts.map(told).join(" + ");
  if (wording.is !== "phrase") return `${wording.is} ${wording.text}`;
  const values = Object.entries(wording.values).map(([name, value]) => ` ${name}=${told(value)}`);
  return `[${wording.kind}${values.join("")}]`;
}

test.each(kinds)("a sentence of the kind %s is read as that kind", (kind) => {
  const read = readPhrases(exampleOf(kind));
  expect(read.is === "phrase" ? read.kind : read).toBe(kind);
});

test("what is written is read with the same values", () => {
  const text = phrase("warming.used", { used: 412, cap: 1_100 });
  expect(text).toBe("412 of 1,100 used");
  expect(told(readPhrases(text))).toBe("[warming.used used=number 412 cap=number 1,100]");
});

test.each([
  [
    "day 6 of 30, 412 of 1,100 used, slowed because Yahoo deferred 12 % and bounced 3 %",
    "[warming.day day=number 6 days=number 30] + [warming.used used=number 412 cap=number 1,100] + [warming.slowed fault=[fault.provider.deferred provider=word Yahoo share=number 12 %] + [fault.bounced share=number 3 %]]",
  ],
  [
    "no address may send bulk mail now; new1: day 1 of 30, 50 of 50 used: the next ones go after midnight UTC",
    "[flow.none-may-send traffic=term bulk] + [of-egress egress=word new1 why=[warming.placed day=number 1 days=number 30 used=number 50 cap=number 50 why=[warming.midnight]]]",
  ],
  [
    "at most 20 messages per minute, since The receiver limits how fast we send (421 Slow down, please)",
    "[rate.minute-since count=number 20 why=[answered say=unknown The receiver limits how fast we send code=word 421 reply=quote Slow down, please]]",
  ],
  [
    "held by rule:google-ip: Gmail blocks mail (3 times): 550 5.7.1 no; go away",
    "[flow.held by=word rule:google-ip why=[rule about=[times about=unknown Gmail blocks mail count=number 3] code=word 550 reply=quote 5.7.1 no; go away]]",
  ],
])("sentences in sentences are read: %s", (text, expected) => {
  expect(told(readPhrases(text))).toBe(expected);
});

test.each(["", "their hands are full", "no, thanks; not today", "x".repeat(3_000)])(
  "a person's words stay as they are: %p",
  (text) => {
    expect(readPhrases(text)).toEqual({ is: "unknown", text });
  },
);

test("sentences in sentences end, and are read quickly, however deep they are", () => {
  const startMs = performance.now();
  for (const part of ["a: ", "it is slowed, ", "on trial after a hold; ", "x (2 times): 421 ", " and ", "("])
    readPhrases(part.repeat(Math.floor(2_000 / part.length)));
  expect(performance.now() - startMs).toBeLessThan(10_000);
});
