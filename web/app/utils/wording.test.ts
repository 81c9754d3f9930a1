import { describe, expect, test } from "bun:test";
import { phrases, readPhrases } from "@tyto/contracts";
import { pack } from "../../../services/mta/src/rules/pack/index.ts";
import { germanPhrases, germanRules, germanTerms } from "../../i18n/phrases.de.ts";
import { type Phrasebook, worded } from "./wording.ts";

const german: Phrasebook = {
  phrases: germanPhrases,
  terms: germanTerms,
  and: "und",
  other: (text) => germanRules[text],
  number: (value) => value.toLocaleString("de-DE"),
  date: (day, month) => `${day}. ${month}`,
};
const inGerman = (text: string) => worded(readPhrases(text), german);
const placesIn = (template: string) => [...template.matchAll(/\{(\w+)/g)].map(([, name]) => name).toSorted();

describe("Tyto's sentences in German", () => {
  test("fill in the same places as the English ones", () => {
    for (const [kind, template] of Object.entries(phrases))
      expect({ kind, places: placesIn(germanPhrases[kind as keyof typeof phrases]) }).toEqual({
        kind,
        places: placesIn(template),
      });
  });

  test("have words for every rule that is shipped, and for no other", () => {
    const abouts = new Set(pack.map(({ about }) => about));
    expect(Object.keys(germanRules).toSorted()).toEqual([...abouts].toSorted());
  });

  test.each([
    [
      "day 6 of 30, 412 of 1,100 used, slowed because Yahoo deferred 3.4 % and bounced 12 %",
      "Tag 6 von 30, 412 von 1.100 verbraucht, verlangsamt: bei Yahoo 3,4 % aufgeschoben und 12 % unzustellbar",
    ],
    ["31 to other providers", "31 an andere Anbieter"],
    [
      "paused until 24 Oct because Google complained about 0.3 %",
      "pausiert bis 24. Okt: bei Google Beschwerden über 0,3 %",
    ],
    [
      "no address may send bulk mail now; new1: day 1 of 30, 50 of 50 used: the next ones go after midnight UTC",
      "keine Adresse darf jetzt Massenpost senden; new1: Tag 1 von 30, 50 von 50 verbraucht: die nächsten gehen nach Mitternacht UTC",
    ],
  ])("%s", (english, words) => {
    expect(inGerman(english)).toEqual([{ text: words }]);
  });

  test("leave what a server or a person said as it is, marked as of no known language", () => {
    expect(
      inGerman(
        "Yahoo puts mail off because of volume or complaints (3 times): 421 [TSS04] Come again; later",
      ),
    ).toEqual([
      { text: "Yahoo schiebt Post wegen der Menge oder wegen Beschwerden auf (3-mal): 421 " },
      { text: "[TSS04] Come again; later", lang: "" },
    ]);
    expect(inGerman("held by root: their hands are full")).toEqual([
      { text: "angehalten von root: " },
      { text: "their hands are full", lang: "" },
    ]);
  });

  test("are marked as English where there are no German words", () => {
    expect(inGerman("the owl was asleep")).toEqual([{ text: "the owl was asleep", lang: "en" }]);
  });
});
