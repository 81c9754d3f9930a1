import { type PhraseKind, phrases } from "./phrases.ts";

/** What stands at a place of a phrase, or what is no phrase at all. */
export type Wording =
  | { is: "phrase"; kind: PhraseKind; values: Readonly<Record<string, Wording>> }
  /** Sentences in a row, with what stands between them. */
  | { is: "list"; between: Between; parts: readonly Wording[] }
  | { is: "word" | "term" | "number" | "date" | "quote" | "unknown"; text: string };

/** Nothing here is longer than this many characters, or deeper than that many sentences in each other. */
const charsMax = 2_000;
const depthMax = 8;
const betweens = ["; ", ", ", " and "] as const;
type Between = (typeof betweens)[number];

/** What fits each type of place. */
const fits: Readonly<Record<string, string>> = {
  word: String.raw`\S+?`,
  term: "[a-zA-Z-]+",
  number: String.raw`\d[\d,]*(?:\.\d+)?`,
  code: String.raw`\d{3}`,
  share: String.raw`\d[\d.]* %`,
  date: String.raw`\d{1,2} [A-Z][a-z]+`,
  label: "[^,;:%]+?",
  names: ".+?",
  phrase: ".+?",
  said: ".+?",
  quote: ".*",
};

type Place = { name: string; type: string };
type Pattern = { kind: PhraseKind; places: readonly Place[]; expression: RegExp };

const isKind = (kind: string): kind is PhraseKind => Object.hasOwn(phrases, kind);
const patterns: readonly Pattern[] = Object.keys(phrases)
  .filter(isKind)
  .map((kind) => patternOf(kind, phrases[kind]));
/** By their text: the sentences that have no place. */
const fixed = new Map(
  patterns.flatMap(({ kind, places }) => (places.length === 0 ? [[String(phrases[kind]), kind]] : [])),
);

function patternOf(kind: PhraseKind, template: string): Pattern {
  const places: Place[] = [];
  const source = template
    .split(/(\{\w+(?::\w+)?\})/)
    .map((part) => {
      const [, name, type = "word"] = /^\{(\w+)(?::(\w+))?\}$/.exec(part) ?? [];
      if (name === undefined) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      places.push({ name, type });
      return `(${fits[type] ?? ".+?"})`;
    })
    .join("");
  return { kind, places, expression: new RegExp(`^${source}$`, "s") };
}

/** Reads a sentence of Tyto's. What is none, such as a person's own words, comes back as it is. */
export function readPhrases(text: string): Wording {
  return text.length > charsMax ? { is: "unknown", text } : read(text, depthMax);
}

function read(text: string, depth: number): Wording {
  if (depth === 0) return { is: "unknown", text };
  for (const pattern of patterns) {
    const found = readAs(pattern, text, depth);
    if (found !== undefined) return found;
  }
  for (const between of betweens) {
    const found = readList(text, between, depth);
    if (found !== undefined) return found;
  }
  return { is: "unknown", text };
}

function readAs({ kind, places, expression }: Pattern, text: string, depth: number): Wording | undefined {
  const found = expression.exec(text);
  if (found === null) return undefined;
  const values = Object.fromEntries(
    places.map(({ name, type }, at) => [name, placeOf(type, found[at + 1] ?? "", depth)]),
  );
  return { is: "phrase", kind, values };
}

function placeOf(type: string, text: string, depth: number): Wording {
  switch (type) {
    case "phrase":
      return read(text, depth - 1);
    case "said": {
      const inner = read(text, depth - 1);
      return inner.is === "unknown" ? { is: "quote", text } : inner;
    }
    case "label": {
      const kind = fixed.get(text);
      return kind === undefined ? { is: "word", text } : { is: "phrase", kind, values: {} };
    }
    case "number":
    case "share":
      return { is: "number", text };
    case "term":
    case "date":
    case "quote":
      return { is: type, text };
    default:
      return { is: "word", text };
  }
}

/** A person's words may have commas, too: a list begins with a sentence that is known. */
function readList(text: string, between: Between, depth: number): Wording | undefined {
  const parts = text.split(between);
  if (parts.length < 2) return undefined;
  const [first, ...others] = parts.map((part) => read(part, depth - 1));
  if (first === undefined || first.is === "unknown") return undefined;
  return { is: "list", between, parts: [first, ...others] };
}

/** The places of a template, such as `why`. */
type PlaceOf<Template extends string> = Template extends `${string}{${infer Place}}${infer Rest}`
  ? (Place extends `${infer Name}:${string}` ? Name : Place) | PlaceOf<Rest>
  : never;

/** The text before, between and after the places of each sentence. */
const textsOf = new Map(
  patterns.map(({ kind, places }) => [
    kind,
    { texts: phrases[kind].split(/\{\w+(?::\w+)?\}/), places: places.map(({ name }) => name) },
  ]),
);

/** Writes a sentence; `readPhrases` gives its kind and values back. Numbers get English commas. */
export function phrase<Kind extends PhraseKind>(
  kind: Kind,
  values: Readonly<Record<PlaceOf<(typeof phrases)[Kind]>, string | number>>,
): string {
  const given: Readonly<Record<string, string | number>> = values;
  const { texts = [], places = [] } = textsOf.get(kind) ?? {};
  let sentence = texts[0] ?? "";
  for (const [at, name] of places.entries()) sentence += wordOf(given[name] ?? "") + (texts[at + 1] ?? "");
  return sentence;
}

/** Most numbers are small, and a formatter costs more than the sentence. */
const wordOf = (value: string | number): string =>
  typeof value === "string" ? value : value < 1_000 ? String(value) : numbers.format(value);
const numbers = new Intl.NumberFormat("en-US");
