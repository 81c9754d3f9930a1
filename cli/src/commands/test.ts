import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Command, parseArguments } from "../arguments.ts";
import { buildDashboard } from "../installation/dashboard.ts";
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

/** Whole installations wait more than they compute. */
const slowLanes = 2;

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
    "Unit tests first, those of convex/ a second time with mutations that run again, and the types of web/;",
    "then the slow ones (*.slow.test.ts: real servers, whole flows), two files at a time.",
    "What this machine lacks is fetched; what cannot be fetched skips its tests and says why.",
  ].join("\n"),
  async run(argv) {
    const { positionals } = parseArguments(argv, {}, this.usage, { needs: [], most: 100 });
    const machine = thisMachine(environment(), (text) => say(colours.dim(text)));
    const { root } = machine.places;
    const files = await findTests(root, positionals, process.cwd());
    const env = await prepare(machine);
    const isAll = positionals.length === 0;
    const account = new Account();

    // What slow tests need is fetched and built while the unit tests run.
    await Promise.all([
      runUnit(account, root, files.unit, env),
      (async () => {
        if (files.slow.length > 0) await prepareSlow(machine);
        // Two installations that begin together would both build the pages.
        if (files.slow.some((file) => rank(file) < 2))
          await account.section("web: build", () => buildWeb(root, env));
        if (isAll) await account.section("web: types", () => checkWeb(root, env));
      })(),
    ]);
    await runSlow(account, root, files.slow, env);
    return account.close();
  },
};

type Outcome = Tally & { failures: string[] };

/** What all sections came to. */
class Account {
  #tally = nothing;
  readonly #failures: string[] = [];

  async section(title: string, work: () => Promise<Outcome>): Promise<void> {
    const bold = colours.bold(title);
    const outcome = await work();
    this.#tally = add(this.#tally, outcome);
    const told =
      outcome.failed > 0 && outcome.failures.length === 0 ? ["ended without a summary"] : outcome.failures;
    this.#failures.push(...told.map((text) => `${bold}\n${text}`));
  }

  /** Tells failures once more, then the sum. The exit code. */
  close(): number {
    if (this.#failures.length > 0)
      say(`\n${colours.bold("what failed, once more")}\n\n${this.#failures.join("\n\n")}`);
    say("");
    say(formatTally(this.#tally));
    return this.#tally.failed > 0 || this.#tally.passed === 0 ? 1 : 0;
  }
}

async function runUnit(account: Account, root: string, files: readonly string[], env: Environment) {
  const flags = [`--parallel=${availableParallelism()}`, `--timeout=${unitTestMsMax}`];
  const run = (title: string, chosen: readonly string[], environment: Environment) =>
    account.section(title, () => {
      say(`\n${colours.bold(title)}`);
      return runBunTest(root, chosen, { env: environment, flags });
    });
  if (files.length > 0) await run("unit tests", files, env);
  const functions = files.filter((file) => file.startsWith("convex/"));
  if (functions.length > 0)
    await run(
      `functions of convex/ again, ${retryPercent} % of mutations rolled back and run again`,
      functions,
      { ...env, CONVEX_RETRY_PERCENT: `${retryPercent}` },
    );
}

/** One after the other in as many lanes as keep the processors busy; each file's output comes whole at its end. */
async function runSlow(account: Account, root: string, files: readonly string[], env: Environment) {
  const waiting = [...files].sort(longestFirst);
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const path = file;
      await account.section(path, async () => {
        say(colours.dim(`${path} …`));
        const outcome = await runBunTest(root, [path], {
          env,
          flags: [`--timeout=${slowTestMsMax}`],
          quiet: true,
        });
        say(`\n${colours.bold(path)}\n${outcome.output}`);
        return outcome;
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(slowLanes, availableParallelism()) }, lane));
}

/** Whole installations take longest, the pages in a browser longest of all: begun last, they would run alone at the end. */
const longestFirst = (one: string, other: string) => rank(one) - rank(other) || one.localeCompare(other);
const rank = (file: string) => (file.startsWith("web/") ? 0 : file.startsWith("test/") ? 1 : 2);

/** Provides what all tests use. A test looks for its programs itself, skips when one is missing, and says so. */
async function prepare(machine: Machine): Promise<Environment> {
  const given = environment();
  const nats = await provideNatsServer(machine);
  if (nats.kind === "missing") throw new Trouble(nats.reason, nats.mend);
  report("nats-server", nats);
  return {
    ...given,
    PATH: searchPath(given, machine.cacheDir),
    // Installations that tests start must not fetch signatures: tests reach nothing beyond this machine.
    TYTO_SIGNATURES: "test",
    TYTO_TEST_ROUNDS: "all",
  };
}

/** The servers and programs that slow tests talk to. */
async function prepareSlow(machine: Machine) {
  report("clamd", await provideClamd(machine));
  for (const program of testPrograms) report(program.name, await provideTestProgram(machine, program));
}

function report(name: string, provided: Provided): void {
  if (provided.kind === "there")
    say(`${marks.ok} ${name} ${colours.dim(`${provided.version} ${provided.path}`)}`);
  else
    say(`${marks.partly} ${name}: ${provided.reason}; its tests are skipped. ${colours.dim(provided.mend)}`);
}

async function buildWeb(root: string, env: Environment): Promise<Outcome> {
  try {
    const done = await buildDashboard(root, env, new AbortController().signal);
    say(`${marks.ok} web: ${done}`);
    return { ...nothing, passed: 1, failures: [] };
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    say(`${marks.bad} web: build\n${error.message}`);
    return { ...nothing, failed: 1, failures: [error.message] };
  }
}

async function checkWeb(root: string, env: Environment): Promise<Outcome> {
  const outcome = await run([process.execPath, "--bun", "run", "typecheck"], {
    cwd: join(root, "web"),
    env: { ...env, NUXT_TELEMETRY_DISABLED: "1" },
  });
  if (outcome.code === 0) {
    say(`${marks.ok} web: types are sound`);
    return { ...nothing, passed: 1, failures: [] };
  }
  const told = lastLines(outcome, 60);
  say(`${marks.bad} web: types\n${told}`);
  return { ...nothing, failed: 1, failures: [told] };
}
