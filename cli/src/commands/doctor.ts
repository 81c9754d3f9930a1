import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { PoolList, portCheck } from "@tyto/contracts";
import { freeMbOn } from "@tyto/service";
import type { z } from "zod";
import { callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { holderOf, isFree } from "../installation/busy-ports.ts";
import { type Condition, lookAtParts } from "../installation/condition.ts";
import { findRunning } from "../installation/running.ts";
import { loadSettings, type PortName, portsInUse } from "../installation/settings.ts";
import { type Environment, environment, type Places } from "../places.ts";
import { inspectClamd } from "../provide/clamd.ts";
import { isDebian } from "../provide/debian.ts";
import { type Machine, thisMachine } from "../provide/machine.ts";
import { inspectNatsServer } from "../provide/nats-server.ts";
import { hasDatabase } from "../provide/signatures.ts";
import { testPrograms } from "../provide/test-programs.ts";
import { colours, marks, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";

type Finding = {
  state: "ok" | "partly" | "bad";
  text: string;
  /** The command that mends it, or a sentence. */
  mend?: string;
};
type Check = (machine: Machine & { places: Places }, env: Environment) => Promise<Finding | Finding[]>;

export const command: Command = {
  usage:
    "tyto doctor [--data DIR]\n\nLooks and changes nothing; asks each part of a running Tyto whether it is ready. The exit code is 1 when something needed is missing.",
  async run(argv) {
    const { values } = parseArguments(argv, { data: { type: "string" } }, this.usage);
    const env = { ...environment(), ...(values.data === undefined ? {} : { TYTO_DATA: values.data }) };
    const machine = thisMachine(env, say);
    let worst = 0;
    for (const check of checks)
      for (const { state, text, mend } of [await check(machine, env)].flat()) {
        const mark = { ok: marks.ok, partly: marks.partly, bad: marks.bad }[state];
        say(`${mark} ${text}${mend === undefined ? "" : `\n    ${colours.cyan(mend)}`}`);
        if (state === "bad") worst = 1;
      }
    return worst;
  },
};

const ok = (text: string): Finding => ({ state: "ok", text });

/** The slowest part, a database of many years, is ready by then. */
const startMsMax = 60_000;

/** A line for all that is ready, and one for each part that is not, with its reason and what to do. */
export function findingsOf(conditions: readonly Condition[], runsForMs: number): Finding[] {
  const ready = conditions.filter(({ problem }) => problem === undefined).map(({ part }) => part);
  const isStarting = runsForMs < startMsMax;
  return [
    ...(ready.length === 0 ? [] : [ok(`ready: ${ready.join(", ")}`)]),
    ...conditions.flatMap(({ part, problem }): Finding[] =>
      problem === undefined
        ? []
        : [
            {
              state: "bad",
              text: `${part} is not ready (${problem.why}): ${problem.harm}`,
              mend: isStarting
                ? `Tyto started ${Math.round(runsForMs / 1_000)} s ago; look again in a minute`
                : problem.mend,
            },
          ],
    ),
  ];
}

/** Whether mail servers can be reached from the addresses that mail leaves by, as far as that was tried. */
export function portFindings(pools: z.infer<typeof PoolList>["data"]): Finding[] {
  const tried = new Map(
    pools
      .flatMap(({ egresses }) => egresses)
      .flatMap(({ egress, checks: done }) => {
        const port = done.find(({ name }) => name === portCheck);
        return port === undefined ? [] : [[egress, port] as const];
      }),
  );
  const open = [...tried].filter(([, { ok: isOpen }]) => isOpen).map(([egress]) => egress);
  return [
    ...(open.length === 0 ? [] : [ok(`mail servers answer at port 25: ${open.join(", ")}`)]),
    ...[...tried.values()].flatMap(({ ok: isOpen, say: why }): Finding[] =>
      isOpen ? [] : [{ state: "bad", text: why, mend: 'docs/operations.md, "Outgoing port 25"' }],
    ),
  ];
}

/** What the mta has found out about port 25; nothing where it does not answer, which another check tells. */
async function lookAtPort25(env: Environment): Promise<Finding[]> {
  try {
    const api = await findApi({}, env);
    return portFindings(PoolList.parse(await callApi(api, "GET", "/v1/pools")).data);
  } catch (error) {
    if (error instanceof Trouble) return [];
    throw error;
  }
}

const checks: readonly Check[] = [
  async () => ok(`Bun ${Bun.version}`),
  async ({ places }) => {
    const same =
      (await Bun.file(join(places.root, "bun.lock")).text()) ===
      (await Bun.file(join(places.root, "node_modules/.tyto-bun.lock"))
        .text()
        .catch(() => ""));
    return same
      ? ok("packages are those of bun.lock")
      : { state: "partly", text: "packages are not those of bun.lock", mend: "./tyto help" };
  },
  async (machine) => {
    const path = machine.which("nats-server");
    const found = path === undefined ? undefined : await inspectNatsServer(machine, path);
    if (found?.kind === "there") return ok(`nats-server ${found.version}`);
    const what = path ? `${path} is older than 2.14` : "nats-server is not here yet";
    return isDebian(machine)
      ? { state: "partly", text: `${what}; it is fetched from Debian at the first start`, mend: "./tyto up" }
      : { state: "bad", text: what, mend: "put nats-server 2.14 or newer on PATH (https://docs.nats.io)" };
  },
  async (machine) => {
    const found = await inspectClamd(machine);
    if (found?.kind === "there") return ok(`clamd ${found.version}`);
    return isDebian(machine)
      ? {
          state: "partly",
          text: "clamd is not here yet; it is fetched from Debian at the first start",
          mend: "./tyto up",
        }
      : {
          state: "partly",
          text: "clamd is missing: mail with attachments would wait",
          mend: "install clamav-daemon",
        };
  },
  async ({ cacheDir }) => {
    for (const directory of ["/var/lib/clamav", join(cacheDir, "signatures/clamav")])
      if (await hasDatabase(directory)) return ok(`virus signatures in ${directory}`);
    return {
      state: "partly",
      text: "no virus signatures: only the EICAR test file would be found",
      mend: "freshclam   (needs a way to ClamAV's mirror; ./tyto up tries it by itself)",
    };
  },
  async ({ places }) => {
    const path = join(places.dataDir, "secrets.env");
    if (!existsSync(path)) return ok("secrets are made at the first start");
    const mode = (await stat(path)).mode & 0o777;
    return mode === 0o600
      ? ok(`secrets in ${path}`)
      : { state: "bad", text: `${path} can be read by others`, mend: `chmod 600 ${path}` };
  },
  async ({ places }, env) => {
    if (!existsSync(places.dataDir)) return [];
    const freeMb = freeMbOn(places.dataDir);
    const { storeFreeMbMin } = loadSettings(env);
    return freeMb < storeFreeMbMin
      ? {
          state: "bad",
          text: `the disk of ${places.dataDir} has ${freeMb} MB left: no new mail is taken below ${storeFreeMbMin} MB`,
          mend: "free some of it; mail goes on by itself then",
        }
      : ok(`${freeMb} MB free on the disk of ${places.dataDir}`);
  },
  async ({ places }, env) => {
    const running = await findRunning(places.dataDir);
    if (!running) return ok("Tyto is not running on this data folder");
    const conditions = await lookAtParts(running.ports ?? portsInUse(loadSettings(env)));
    return [
      ok(`Tyto is running (pid ${running.pid}): ${running.siteUrl}`),
      ...findingsOf(conditions, Date.now() - running.startedAtMs),
      ...(await lookAtPort25(env)),
    ];
  },
  async ({ places }, env) => {
    if (await findRunning(places.dataDir)) return [];
    const ports = portsInUse(loadSettings(env));
    const taken: Finding[] = [];
    for (const [name, port] of Object.entries(ports) as [PortName, number][])
      if (!isFree(port))
        taken.push({
          state: "bad",
          text: `port ${port} is taken by ${(await holderOf(port)) ?? "another program"}`,
          mend: `${name}=${port + 1000} ./tyto up`,
        });
    return taken.length > 0 ? taken : ok("all ports are free");
  },
  async (machine) =>
    testPrograms.map(({ name, programs, packages, for: purpose }) =>
      machine.which(...programs)
        ? ok(`${name} (for tests)`)
        : {
            state: "partly",
            text: `${name} is missing: tests of ${purpose} are skipped`,
            mend: `apt-get install ${packages.join(" ")}`,
          },
    ),
];
