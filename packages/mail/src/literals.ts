/**
 * Which short texts a pattern cannot match without. Two hundred patterns on every refusal cost more than all the rest of
 * reading a report; a text that holds none of a pattern's literals need not meet the pattern.
 */

type Item =
  | { kind: "char"; char: string; isOptional: boolean }
  | { kind: "group"; alternatives: Item[][]; isOptional: boolean }
  /** A class, a dot, a repetition: something of unknown text. */
  | { kind: "other"; isOptional: boolean }
  /** A place, not a text: `\b`, `^`, look-around. */
  | { kind: "place" };

/** Found in almost every refusal. */
const common = new Set(
  "user mail reci addr acco mess e-ma host doma serv this your deli was is a  not has the send from".split(
    " ",
  ),
);

/**
 * Literals of two to four characters: every match of the pattern contains at least one of them. `undefined` when that
 * cannot be told, then the pattern must always be tried. Knows the syntax that the rules use, not all there is.
 */
export function literalsOf({ source }: RegExp): readonly string[] | undefined {
  const { alternatives } = readAlternatives(source, 0);
  return literalsOfAny(alternatives);
}

function literalsOfAny(alternatives: readonly Item[][]): readonly string[] | undefined {
  const sets = alternatives.map(literalsOfSequence);
  return sets.some((set) => set === undefined) ? undefined : [...new Set(sets.flatMap((set) => set ?? []))];
}

/** Of all that a sequence needs, what is rarest in other texts. */
function literalsOfSequence(items: readonly Item[]): readonly string[] | undefined {
  const candidates: (readonly string[])[] = [];
  let run = "";
  const endRun = () => {
    const literal = literalIn(run);
    if (literal !== undefined) candidates.push([literal]);
    run = "";
  };
  for (const item of items) {
    if (item.kind === "place") continue;
    if (item.kind === "char" && !item.isOptional) {
      run += item.char;
      continue;
    }
    endRun();
    const set = item.kind === "group" && !item.isOptional ? literalsOfAny(item.alternatives) : undefined;
    if (set !== undefined) candidates.push(set);
  }
  endRun();
  return candidates.toSorted((a, b) => commonness(a) - commonness(b))[0];
}

const commonness = (set: readonly string[]) =>
  set.length + 20 * set.filter((literal) => common.has(literal) || literal.length < 3).length;

/** Four characters of a run, its rarer end; three or, beyond ASCII, two where there are no more. */
function literalIn(run: string): string | undefined {
  if (run.length >= 4) return common.has(run.slice(0, 4)) ? run.slice(-4) : run.slice(0, 4);
  if (run.length === 3) return run;
  return run.length === 2 && Math.min(run.charCodeAt(0), run.charCodeAt(1)) > 127 ? run : undefined;
}

/** From `at` to the end of the pattern or of the group. */
function readAlternatives(source: string, at: number): { alternatives: Item[][]; end: number } {
  const alternatives: Item[][] = [[]];
  let position = at;
  while (position < source.length && source[position] !== ")") {
    if (source[position] === "|") {
      alternatives.push([]);
      position++;
      continue;
    }
    const { item, end } = readItem(source, position);
    alternatives.at(-1)?.push(item);
    position = end;
  }
  return { alternatives, end: position + 1 };
}

function readItem(source: string, at: number): { item: Item; end: number } {
  const char = source.charAt(at);
  if (char === "^" || char === "$") return { item: { kind: "place" }, end: at + 1 };
  if (char === "(") {
    const [prefix = ""] = /^(?:\?(?::|<?[=!]|<\w{1,20}>))?/.exec(source.slice(at + 1)) ?? [];
    const { alternatives, end } = readAlternatives(source, at + 1 + prefix.length);
    if (/[=!]$/.test(prefix)) return { item: { kind: "place" }, end };
    return quantified({ kind: "group", alternatives, isOptional: false }, source, end);
  }
  if (char === "[") {
    const [whole = "["] = /^\[(?:\\.|[^\]\\])*\]/.exec(source.slice(at)) ?? [];
    return quantified({ kind: "other", isOptional: false }, source, at + whole.length);
  }
  if (char === "\\") {
    const escaped = source.charAt(at + 1);
    if (escaped === "b" || escaped === "B") return { item: { kind: "place" }, end: at + 2 };
    const [coded = "", digits] =
      /^\\(?:u|x(?=[0-9a-f]{2}))([0-9a-f]{4}|[0-9a-f]{2})/i.exec(source.slice(at)) ?? [];
    if (digits !== undefined)
      return quantified(
        { kind: "char", char: String.fromCharCode(Number.parseInt(digits, 16)), isOptional: false },
        source,
        at + coded.length,
      );
    const [property = ""] = /^\\p\{\w+\}/.exec(source.slice(at)) ?? [];
    const end = at + (property.length || 2);
    const item: Item = /[a-z0-9]/i.test(escaped)
      ? { kind: "other", isOptional: false }
      : { kind: "char", char: escaped, isOptional: false };
    return quantified(item, source, end);
  }
  const item: Item =
    char === "." ? { kind: "other", isOptional: false } : { kind: "char", char, isOptional: false };
  return quantified(item, source, at + 1);
}

function quantified(
  item: Exclude<Item, { kind: "place" }>,
  source: string,
  at: number,
): { item: Item; end: number } {
  const [quantifier = ""] = /^(?:[?*+]|\{\d{1,4}(?:,\d{0,4})?\})\??/.exec(source.slice(at)) ?? [];
  if (quantifier === "") return { item, end: at };
  const isOptional = /^[?*]|^\{0/.test(quantifier);
  const end = at + quantifier.length;
  // Repeated text is neither one run with its neighbours nor absent.
  return { item: isOptional ? { ...item, isOptional } : { kind: "other", isOptional: false }, end };
}
