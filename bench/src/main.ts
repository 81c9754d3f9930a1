/**
 * `bun run bench NAME [--option value]`: one measurement. Progress goes to standard error; the last line on standard
 * output is one JSON object.
 */

import { backlog } from "./backlog.ts";
import { flood } from "./flood.ts";
import { intake } from "./intake.ts";
import { isolation } from "./isolation.ts";
import { kill } from "./kill.ts";
import { mta } from "./mta.ts";
import { parser } from "./parser.ts";
import { path } from "./path.ts";
import { sending } from "./sending.ts";
import { shares } from "./shares.ts";
import { store } from "./store.ts";

type Options = Record<string, string>;
export type Benchmark = {
  name: string;
  about: string;
  run(options: Options): Promise<Record<string, unknown>>;
};

const benchmarks: readonly Benchmark[] = [
  path,
  store,
  intake,
  parser,
  flood,
  kill,
  mta,
  sending,
  isolation,
  backlog,
  shares,
];

const [name, ...rest] = process.argv.slice(2);
const chosen = benchmarks.find((benchmark) => benchmark.name === name);
if (chosen === undefined) {
  console.error(
    `usage: bun run bench NAME [--option value]\n${benchmarks.map((b) => `  ${b.name}  ${b.about}`).join("\n")}`,
  );
  process.exit(2);
}
const options = Object.fromEntries(
  rest.flatMap((word, index) => (word.startsWith("--") ? [[word.slice(2), rest[index + 1] ?? ""]] : [])),
);
const result = await chosen.run(options);
console.log(JSON.stringify({ bench: chosen.name, ...result }));
process.exit(0);
