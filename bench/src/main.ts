/**
 * `bun run bench NAME [--option value]`: one measurement. Progress goes to standard error; the last line on standard
 * output is one JSON object.
 */
import { ask } from "./benchmark.ts";
import { benchmarks } from "./benchmarks.ts";

const asked = ask(benchmarks, process.argv.slice(2));
if (asked.kind === "run") {
  const result = await asked.run();
  console.log(JSON.stringify({ bench: asked.name, ...result }));
  process.exit(0);
}
if (asked.kind === "help") console.log(asked.text);
else console.error(asked.text);
process.exit(asked.kind === "help" ? 0 : 2);
