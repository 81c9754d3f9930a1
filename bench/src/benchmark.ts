import { parseArgs } from "node:util";

/** One option of a benchmark, `--its-name value`; `usual` is what it is unless it is given. */
export type Option = {
  usual: number | string;
  /** What it counts, with its unit. */
  about: string;
  /** Bounds of a number, 1 and none if left out. Numbers are whole. */
  least?: number;
  most?: number;
};
export type Options = Readonly<Record<string, Option>>;

/** What a run gets: every option by its name, as a number where `usual` is one. */
export type Job<O extends Options> = { [Name in keyof O]: O[Name]["usual"] extends number ? number : string };

export type Benchmark<O extends Options = Options> = {
  name: string;
  /** One line. */
  about: string;
  options: O;
  /** Resolves with what is printed as one JSON object. */
  run(job: Job<O>): Promise<Record<string, unknown>>;
};

/** What a command line asks for: a run, a text that was asked for, or a text about what is wrong with it. */
export type Asked =
  | { kind: "run"; name: string; run(): Promise<Record<string, unknown>> }
  | { kind: "help" | "wrong"; text: string };

/** A benchmark with the types of its job taken from its options. */
export const benchmark = <const O extends Options>(described: Benchmark<O>): Bench => ({
  ...described,
  ask: (words) => askOne(described, words),
});

export type Bench = { name: string; about: string; options: Options; ask(words: readonly string[]): Asked };

/** Reads the words after `bun run bench`. */
export function ask(benches: readonly Bench[], [name, ...words]: readonly string[]): Asked {
  const list = benches.map((bench) => `  ${bench.name.padEnd(10)} ${bench.about}`).join("\n");
  const usage = `usage: bun run bench NAME [--option value]...\n\n${list}\n\n\`bun run bench NAME --help\` tells the options of one.`;
  if (name === undefined) return { kind: "wrong", text: usage };
  if (name === "--help" || name === "-h" || name === "help") return { kind: "help", text: usage };
  const chosen = benches.find((bench) => bench.name === name);
  return chosen === undefined
    ? { kind: "wrong", text: `there is no benchmark "${name}"\n${usage}` }
    : chosen.ask(words);
}

function askOne<O extends Options>(bench: Benchmark<O>, words: readonly string[]): Asked {
  const usage = usageOf(bench);
  const flags = Object.fromEntries(Object.keys(bench.options).map((name) => [flagOf(name), name]));
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: "string" as const }])),
      },
    });
    if (values.help === true) return { kind: "help", text: usage };
    const given = values as Readonly<Record<string, string | undefined>>;
    const job = Object.fromEntries(
      Object.entries(bench.options).map(([name, option]) => [
        name,
        readValue(flagOf(name), option, given[flagOf(name)]),
      ]),
    ) as Job<O>;
    return { kind: "run", name: bench.name, run: () => bench.run(job) };
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    // Node's own texts go on with advice about words that start with a dash.
    return { kind: "wrong", text: `${error.message.split(". ")[0]}\n${usage}` };
  }
}

function usageOf({ name, about, options }: { name: string; about: string; options: Options }): string {
  const rows = Object.entries(options).map(([key, { usual, about }]) => [`--${flagOf(key)} ${usual}`, about]);
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  const lines = rows.map(([left = "", right]) => `  ${left.padEnd(width)}  ${right}`);
  return [
    `usage: bun run bench ${name} [--option value]...`,
    about,
    "",
    "options, with what they are unless given:",
    ...lines,
  ].join("\n");
}

/** `healthyPerS` is `--healthy-per-s`. */
const flagOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function readValue(
  flag: string,
  { usual, least = 1, most }: Option,
  text: string | undefined,
): number | string {
  if (text === undefined) return usual;
  if (typeof usual === "string") return text;
  const value = Number(text.replaceAll("_", ""));
  if (!/^\d[\d_]*$/.test(text) || value < least || value > (most ?? Number.MAX_SAFE_INTEGER))
    throw new RangeError(
      `--${flag} takes a whole number ${most === undefined ? `of at least ${least}` : `from ${least} to ${most}`}, not "${text}"`,
    );
  return value;
}
