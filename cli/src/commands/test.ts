import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Command, parseArguments } from "../arguments.ts";
import { type Environment, environment, searchPath } from "../places.ts";
import { provideClamd } from "../provide/clamd.ts";
import { type Machine, type Provided, thisMachine } from "../provide/machine.ts";
import { provideNatsServer } from "../provide/nats-server.ts";
import { testSignatures } from "../provide/signatures.ts";
import { provideTestProgram, testPrograms } from "../provide/test-programs.ts";
import { lastLines, run } from "../run.ts";
import { colours, marks, say } from "../screen.ts";
import { runBunTest } from "../testing/bun-test.ts";
import { findTests } from "../testing/files.ts";
import { add, formatTally, nothing, type Tally } from "../testing/tally.ts";
import { Trouble } from "../trouble.ts";

/** A slow test starts servers and waits for mail; its own limits inside are tighter. */
const slowTestMsMax = 600_000;

export const command: Command = {
  usage: [
    "tyto test [PATH...]     all tests, or those at or below the paths",
    "",
    "Unit tests first, then the slow ones (*.slow.test.ts: real servers, whole flows), then the checks of web/.",
    "What this machine lacks is fetched; what cannot be fetched skips its tests and says why.",
  ].join("\n"),
  async run(argv) {
    const { positionals } = parseArguments(argv, {}, this.usage, { least: 0, most: 100 });
    const machine = thisMachine(environment(), (text) => say(colours.dim(text)));
    const { root } = machine.places;
    const files = await findTests(root, positionals, process.cwd());
    const env = await prepare(machine, files.slow.length > 0);

    let tally = nothing;
    const section = async (title: string, work: () => Promise<Tally>) => {
      say(`\n${colours.bold(title)}`);
      tally = add(tally, await work());
    };
    if (files.unit.length > 0)
      await section("unit tests", () =>
        runBunTest(root, files.unit, { env, flags: [`--parallel=${availableParallelism()}`] }),
      );
    for (const file of files.slow)
      await section(file, () => runBunTest(root, [file], { env, flags: [`--timeout=${slowTestMsMax}`] }));
    if (positionals.length === 0) await section("web: types", () => checkWeb(root, env));

    say("");
    say(formatTally(tally));
    return tally.failed > 0 || tally.passed === 0 ? 1 : 0;
  },
};

/** Provides what tests use. The environment names, as `TYTO_SKIP_<NAME>`, why something could not be provided. */
async function prepare(machine: Machine & { places: { root: string } }, slow: boolean): Promise<Environment> {
  const given = environment();
  const env: Environment = { ...given, PATH: searchPath(given, machine.cacheDir), NO_COLOR: undefined };
  const nats = await provideNatsServer(machine);
  if (nats.kind === "missing") throw new Trouble(nats.reason, nats.mend);
  report("nats-server", nats);
  if (!slow) return env;

  const clamd = await provideClamd(machine);
  env.TYTO_TEST_SIGNATURES = await testSignatures(machine);
  for (const [name, provided] of [
    ["clamd", clamd] as const,
    ...(await provideEach(machine)),
    ["docker", await findDocker(machine)] as const,
  ]) {
    report(name, provided);
    if (provided.kind === "missing") env[`TYTO_SKIP_${name.toUpperCase()}`] = provided.reason;
  }
  return env;
}

async function provideEach(machine: Machine) {
  const provided: (readonly [string, Provided])[] = [];
  for (const program of testPrograms)
    provided.push([program.name, await provideTestProgram(machine, program)] as const);
  return provided;
}

/** Docker is used when it is there and never installed: a test command must not add a daemon to a machine. */
async function findDocker(machine: Machine): Promise<Provided> {
  const path = machine.which("docker");
  const mend = "install Docker with the compose plugin and start it";
  if (!path) return { kind: "missing", reason: "Docker is not installed", mend };
  const info = await machine.run([path, "info", "--format", "{{.ServerVersion}}"], { timeoutMs: 20_000 });
  if (info.code !== 0) return { kind: "missing", reason: "Docker is not running", mend };
  const compose = await machine.run([path, "compose", "version", "--short"]);
  if (compose.code !== 0) return { kind: "missing", reason: "Docker has no compose plugin", mend };
  return { kind: "there", path, version: info.stdout.trim() };
}

function report(name: string, provided: Provided): void {
  if (provided.kind === "there")
    say(`${marks.ok} ${name} ${colours.dim(`${provided.version} ${provided.path}`)}`);
  else
    say(`${marks.partly} ${name}: ${provided.reason}; its tests are skipped. ${colours.dim(provided.mend)}`);
}

async function checkWeb(root: string, env: Environment): Promise<Tally> {
  const outcome = await run([process.execPath, "--bun", "run", "typecheck"], {
    cwd: join(root, "web"),
    env: { ...env, NUXT_TELEMETRY_DISABLED: "1" },
  });
  if (outcome.code === 0) {
    say("types are sound");
    return { ...nothing, passed: 1 };
  }
  say(lastLines(outcome, 60));
  return { ...nothing, failed: 1 };
}
