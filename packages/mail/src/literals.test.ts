import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { literalsOf } from "./literals.ts";
import { rules } from "./reasons/index.ts";

test.each([
  [/\buser unknown\b/, ["nown"]],
  [/\b(no such|unknown) (user|mailbox)\b/, ["no s", "unkn"]],
  [/\bquota\b|\bfull\b/, ["quot", "full"]],
  [/\btls( is)? required\b/, ["tls"]],
  [/\bspam(?! score)/, ["spam"]],
  [/\bx{2,4}abcd?/, ["abc"]],
  [/[abc]\d{3}/, undefined],
  [/(quota|\d+)/, undefined],
  [/病毒/, ["病毒"]],
])("%p needs one of %p", (pattern, expected) => {
  expect(literalsOf(pattern)?.toSorted()).toEqual(expected?.toSorted());
});

const folder = new URL("../fixtures/", import.meta.url);
const texts = ["replies/", "reports/"].flatMap((sub) =>
  readdirSync(new URL(sub, folder))
    .filter((file) => file.endsWith(".json"))
    .flatMap((file) =>
      readFileSync(new URL(sub + file, folder), "utf8")
        .toLowerCase()
        .split("\n"),
    ),
);

test("no rule's pattern matches a text that has none of its literals", () => {
  for (const { reason, sure, likely } of rules)
    for (const pattern of [...sure, ...(likely ?? [])]) {
      const literals = literalsOf(pattern);
      if (literals === undefined) continue;
      const missed = texts.find(
        (text) => pattern.test(text) && !literals.some((literal) => text.includes(literal)),
      );
      expect({ reason, pattern: pattern.source, missed }).toEqual({
        reason,
        pattern: pattern.source,
        missed: undefined,
      });
    }
});

test("most patterns can be told apart by their literals", () => {
  const all = rules.flatMap(({ sure, likely }) => [...sure, ...(likely ?? [])]);
  const unknown = all.filter((pattern) => literalsOf(pattern) === undefined);
  expect(unknown.length / all.length).toBeLessThan(0.1);
});
