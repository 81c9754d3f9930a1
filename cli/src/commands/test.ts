import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Command, parseArguments } from "../arguments.ts";
import { type Environment, environment, searchPath } from "../places.ts";
import { provideClamd } from "../provide/clamd.ts";
import { type Machine, type Provided, thisMachine } from "../provide/machine.ts";
import { provideNatsServer } from "../provide/nats-server.ts";
import { provideTestProgram, testPrograms } from "../provide/test-programs.ts";
import { lastLines, run } from "../run.ts";
import { colours, marks, say } from "../screen.ts";
import { runBunTest, unitTestMsMax } from "../testing/bun-test.ts";
import { findTests } from "../testing/files.ts";
import { add, formatTally, nothing, type Tally } from "../testing/tally.ts";
import { Trouble } from "../trouble.ts";

/** A slow test starts servers and waits for mail; its own limits inside are tighter. */
const slowTestMsMax = 600_000;

/**
 * In production mutations that conflict are run again. Locally they never conflict, so a second run of the tests
 * of convex/ shows whether every one of them bears it.
 */
const retryPercent = 50;

export const command: Command = {
  usage: [
    "tyto test [PATH...]     all tests, or those at or below the paths",
    "",
    "Unit tests first, those of convex/ a second time with mutations that run again; then the slow ones",
    "(*.slow.test.ts: real servers, whole flows), then the checks of web/.",
    "What this machine lacks is fetched; what cannot be fetched skips its tests and says why.",
  ].join("\n"),
  async run(argv) {
    const { positionals } = parseArguments(argv, {}, this.usage, { least: 0, most: 100 });
    const machine = thisMachine(environment(), (text) => say(colours.dim(text)));
    const { root } = machine.places;
    const files = await findTests(root, positionals, process.cwd());
    const env = await prepare(machine, files.slow.length > 0);

    const unitFlags = [`--parallel=${availableParallelism()}`, `--timeout=${unitTestMsMax}`];
    let tally = nothing;
    const failures: string[] = [];
    const section = async (title: string, work: () => Promise<Tally & { failures: string[] }>) => {
      say(`\n${colours.bold(title)}`);
      const outcome = await work();
      tally = add(tally, outcome);
      const told =
        outcome.failed > 0 && outcome.failures.length === 0 ? ["ended without a summary"] : outcome.failures;
      failures.push(...told.map((text) => `${colours.bold(title)}\n${text}`));
    };
    if (files.unit.length > 0)
      await section("unit tests", () => runBunTest(root, files.unit, { env, flags: unitFlags }));
    const functions = files.unit.filter((file) => file.startsWith("convex/"));
    if (functions.length > 0)
      await section(
        `functions of convex/ again, ${retryPercent} % of mutations rolled back and run again`,
        () =>
          runBunTest(root, functions, {
            env: { ...env, CONVEX_RETRY_PERCENT: `${retryPercent}` },
            flags: unitFlags,
          }),
      );
    for (const file of files.slow)
      await section(file, () => runBunTest(root, [file], { env, flags: [`--timeout=${slowTestMsMax}`] }));
    if (positionals.length === 0) await section("web: types", () => checkWeb(root, env));

    if (failures.length > 0) say(`\n${colours.bold("what failed, once more")}\n\n${failures.join("\n\n")}`);
    say("");
    say(formatTally(tally));
    return tally.failed > 0 || tally.passed === 0 ? 1 : 0;
  },
};

/** Provides what tests use. A test looks for its programs itself, skips when one is missing, and says so. */
async function prepare(machine: Machine & { places: { root: string } }, slow: boolean): Promise<Environment> {
  const given = environment();
  const nats = await provideNatsServer(machine);
  if (nats.kind === "missing") throw new Trouble(nats.reason, nats.mend);
  report("nats-server", nats);
  if (slow) {
    report("clamd", await provideClamd(machine));
    for (const program of testPrograms) report(program.name, await provideTestProgram(machine, program));
  }
  return {
    ...given,
    PATH: searchPath(given, machine.cacheDir),
    // Installations that tests start must not fetch signatures: tests reach nothing beyond this machine.
    TYTO_SIGNATURES: "test",
  };
}

function report(name: string, provided: Provided): void {
  if (provided.kind === "there")
    say(`${marks.ok} ${name} ${colours.dim(`${provided.version} ${provided.path}`)}`);
  else
    say(`${marks.partly} ${name}: ${provided.reason}; its tests are skipped. ${colours.dim(provided.mend)}`);
}

async function checkWeb(root: string, env: Environment): Promise<Tally & { failures: string[] }> {
  const outcome = await run([process.execPath, "--bun", "run", "typecheck"], {
    cwd: join(root, "web"),
    env: { ...env, NUXT_TELEMETRY_DISABLED: "1" },
  });
  if (outcome.code === 0) {
    say("types are sound");
    return { ...nothing, passed: 1, failures: [] };
  }
  const told = lastLines(outcome, 60);
  say(told);
  return { ...nothing, failed: 1, failures: [told] };
}
