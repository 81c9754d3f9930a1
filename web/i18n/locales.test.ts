/** Words: both languages say the same things, every key that is used exists, and every key that exists is used. */
import { expect, test } from "bun:test";
import { errors, messageStatuses, reasons, scopes } from "@tyto/contracts";
import de from "./locales/de.json";
import en from "./locales/en.json";

type Words = { [key: string]: string | Words };
const flatten = (words: Words, above = ""): [key: string, text: string][] =>
  Object.entries(words).flatMap(([key, value]): [string, string][] =>
    typeof value === "string" ? [[above + key, value]] : flatten(value, `${above + key}.`),
  );
const english = new Map(flatten(en));
const german = new Map(flatten(de));

const app = `${import.meta.dir}/../app`;
const paths = [...new Bun.Glob("**/*.{vue,ts}").scanSync(app)].filter((path) => !path.endsWith(".test.ts"));
const sources = await Promise.all(paths.map((path) => Bun.file(`${app}/${path}`).text()));

/** `t("a.b")`, keys chosen by a condition inside `t(…)`, and `key: "a.b"` of pure functions; not `:key="row.name"`. */
const literalKeys = new Set(
  sources.flatMap((text) =>
    [...text.matchAll(/(?<!=)["']([a-zA-Z]+(?:\.[a-zA-Z0-9-]+)+)["']/g)].map((match) => match[1] ?? ""),
  ),
);
/** `t(`status.${x}`)` is any key that starts with `status.` and has the rest of the template. */
const templates = sources.flatMap((text) =>
  [...text.matchAll(/`([a-zA-Z]+\.[^`]*\$\{[^`]*)`/g)].map((match) => {
    const pattern = (match[1] ?? "")
      .split(/\$\{[^}]*\}/)
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("[a-zA-Z0-9-]+");
    return new RegExp(`^${pattern}$`);
  }),
);

test("both languages have the same keys", () => {
  expect([...german.keys()].toSorted()).toEqual([...english.keys()].toSorted());
});

test("both languages fill in the same places and count the same forms", () => {
  const shape = (text: string) => ({
    places: [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).toSorted(),
    forms: text.split("|").length,
  });
  for (const [key, text] of english)
    expect({ key, ...shape(german.get(key) ?? "") }).toEqual({ key, ...shape(text) });
});

test("nothing is left untranslated or empty", () => {
  for (const words of [english, german])
    expect([...words].filter(([, text]) => text.trim() === "")).toEqual([]);
  const long = [...english].filter(([, text]) => text.split(" ").length > 3);
  expect(long.filter(([key, text]) => german.get(key) === text).map(([key]) => key)).toEqual([]);
});

test("every key that is used exists", () => {
  const roots = new Set(Object.keys(en));
  const missing = [...literalKeys].filter((key) => roots.has(key.split(".")[0] ?? "") && !english.has(key));
  // Names of mail events look like keys and are not.
  expect(missing.filter((key) => !key.startsWith("mail."))).toEqual([]);
  for (const template of templates)
    if (/^\^(?:[a-zA-Z]+)\\\./.test(template.source))
      expect({
        template: template.source,
        found: [...english.keys()].some((key) => template.test(key)),
      }).toEqual({
        template: template.source,
        found: true,
      });
});

test("every key that exists is used", () => {
  const unused = [...english.keys()].filter(
    (key) => !literalKeys.has(key) && !templates.some((template) => template.test(key)),
  );
  expect(unused).toEqual([]);
});

test("every status, reason, error and right of the contract has words", () => {
  const keys = [
    ...messageStatuses.flatMap((status) => [`status.${status}`, `status.meaning.${status}`]),
    ...Object.keys(reasons).map((reason) => `reason.${reason.replaceAll(".", "-")}`),
    ...Object.keys(errors).map((code) => `problem.${code.replace(".", "-")}`),
    ...scopes.map((scope) => `apiKey.scope.${scope.replace(":", "-")}`),
  ];
  expect(keys.filter((key) => !english.has(key))).toEqual([]);
});
