/** `bun run check`: formatting, lint, types and fast tests side by side; everything that must hold before a commit. */
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { hashSources, stamp } from "./installation/sources.ts";
import { type Environment, environment, searchPath } from "./places.ts";
import { thisMachine } from "./provide/machine.ts";
import { provideNatsServer } from "./provide/nats-server.ts";
import { lastLines, run } from "./run.ts";
import { colours, complain, duration, marks, say } from "./screen.ts";
import { runBunTest, unitTestMsMax } from "./testing/bun-test.ts";
import { findTests } from "./testing/files.ts";
import { formatTally } from "./testing/tally.ts";

type Result = { ok: boolean; note: string; output: string };

const startedMs = performance.now();
const machine = thisMachine(environment(), (text) => say(colours.dim(text)));
const { root } = machine.places;
const nats = await provideNatsServer(machine);
if (nats.kind === "missing") {
  complain(`${nats.reason}\n${nats.mend}`);
  process.exit(1);
}
const env: Environment = { ...environment(), PATH: searchPath(environment(), machine.cacheDir) };

/** What may be thrown away lies with the installed packages. */
const cacheDir = join(root, "node_modules/.cache/tyto");
await mkdir(cacheDir, { recursive: true });

const program = async (argv: string[], cwd = root, more: Environment = {}): Promise<Result> => {
  const outcome = await run(argv, { cwd, env: { ...env, ...more } });
  return { ok: outcome.code === 0, note: "", output: lastLines(outcome, 200) };
};

/**
 * Remembers the sources that a slow check passed on, and passes at once while they stay as they are. With CI set nothing is
 * taken from an earlier run.
 */
const onceFor = async (
  sources: readonly string[],
  name: string,
  work: () => Promise<Result>,
): Promise<Result> => {
  const hash = await hashSources(root, sources);
  const last = stamp(join(cacheDir, name));
  if (!env.CI && (await last.matches(hash)))
    return { ok: true, note: "unchanged since they were sound", output: "" };
  const result = await work();
  if (result.ok) await last.write(hash);
  return result;
};

/**
 * TypeScript's native compiler needs a third of the processor time. What takes the compiler apart (convex, vue-tsc, nuxt)
 * still needs the one in JavaScript, which is `typescript`. In one thread it needs half of what it needs in several, which
 * each learn the same types, and the tests have the other processors.
 */
const compile = (...flags: string[]) => {
  const compiler = join(root, "node_modules/typescript-native/bin/tsc");
  // It ends before its garbage matters: collecting a quarter as often spares a tenth of its work.
  return program([process.execPath, compiler, "--singleThreaded", "--noEmit", ...flags], root, {
    GOGC: "400",
  });
};

/** vue-tsc has the last word about what the native compiler finds fault with: it knows where in a page the fault is. */
const typesOfWeb = async (): Promise<Result> => {
  const web = join(root, "web");
  const prepared = await program([process.execPath, "--bun", "x", "nuxt", "prepare"], web);
  if (!prepared.ok) return prepared;
  // Loading what reads pages takes a second, which a run that need not check them can spare.
  const { writePages } = await import("./testing/pages.ts");
  const others = ["server", "shared", "node"].map((name) => join(web, `.nuxt/tsconfig.${name}.json`));
  for (const project of [await writePages(web), ...others])
    if (!(await compile("-p", project)).ok)
      return program([process.execPath, "--bun", "run", "typecheck"], web);
  return prepared;
};

const show = async (name: string, work: () => Promise<Result>): Promise<boolean> => {
  const beganMs = performance.now();
  const { ok, note, output } = await work();
  const took = colours.dim(duration(performance.now() - beganMs));
  say(`${ok ? marks.ok : marks.bad} ${name} ${note} ${took}`);
  if (!ok) say(output);
  return ok;
};

/** Tests wait for servers and timers, too: one worker more than processors keeps those busy. */
const testWorkers = Math.min(8, availableParallelism() + 1);

/**
 * What a worker loaded for one file serves the next one too, which saves a third of the tests' processor time;
 * `./tyto test` gives each file a fresh start. The longest files of the last run come first, so that the workers
 * end together.
 */
const testFlags = [
  ...[`--parallel=${testWorkers}`, "--no-isolate", "--only-failures", `--timeout=${unitTestMsMax}`],
  ...[`--timings=${join(cacheDir, "test-timings.json")}`, "--update-timings"],
];

/** Two lanes: the tests in one, the compilers one after the other in the other. */
const lanes = await Promise.all([
  (async () => [
    await show("unit tests", async () => {
      const { unit } = await findTests(root, [], root);
      const { output, failures, ...tally } = await runBunTest(root, unit, {
        env,
        flags: testFlags,
        quiet: true,
      });
      return {
        ok: tally.failed === 0 && tally.passed > 0,
        note: formatTally(tally),
        output: failures.length > 0 ? failures.join("\n\n") : output,
      };
    }),
  ])(),
  (async () => [
    await show("format and lint", () => program([join(root, "node_modules/.bin/biome"), "check", "."])),
    await show("types", () =>
      compile("--incremental", "--tsBuildInfoFile", join(cacheDir, "types-native.tsbuildinfo"), "-p", "."),
    ),
    await show("types of web", () =>
      onceFor(["web", "packages/contracts/src", "convex", "bun.lock"], "web-types", typesOfWeb),
    ),
  ])(),
]);

say(`${duration(performance.now() - startedMs)}`);
process.exitCode = lanes.flat().every(Boolean) ? 0 : 1;
