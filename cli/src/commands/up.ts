import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freeMbOn } from "@tyto/service";
import { type Command, parseArguments } from "../arguments.ts";
import { holderOf, isFree } from "../installation/busy-ports.ts";
import { writeClamdConfig } from "../installation/clamav.ts";
import { buildDashboard } from "../installation/dashboard.ts";
import { deployFunctions, functionEnvironment } from "../installation/deployment.ts";
import {
  clamdPart,
  convexPart,
  freshclamPart,
  type Installation,
  natsPart,
  servicePart,
  urls,
} from "../installation/parts.ts";
import { provisionBus } from "../installation/provision.ts";
import { claimData } from "../installation/running.ts";
import { ensureSecrets } from "../installation/secrets.ts";
import { loadSettings, type PortName, portsInUse, type Settings } from "../installation/settings.ts";
import { fastestSigning, signingClock } from "../installation/signing-speed.ts";
import { type Summary, summarize } from "../installation/summary.ts";
import { environment, places, searchPath } from "../places.ts";
import { provideClamd } from "../provide/clamd.ts";
import { type Machine, thisMachine } from "../provide/machine.ts";
import { provideNatsServer } from "../provide/nats-server.ts";
import { provideSignatures, type Signatures, testSignatures } from "../provide/signatures.ts";
import { colours, complain, duration, marks, say } from "../screen.ts";
import { watchDisk } from "../supervise/disk-watch.ts";
import { journal } from "../supervise/journal.ts";
import {
  type Keeper,
  keep,
  NotReady,
  type Part,
  stopInReverse,
  systemPorts,
} from "../supervise/supervisor.ts";
import { Trouble } from "../trouble.ts";

const partNames = [
  ...["nats", "convex", "clamd", "freshclam", "gateway", "scanner", "mta", "bounce", "recorder", "llm"],
];

/** Fetching and loading signatures may take minutes; mail without attachments need not wait for that. */
const clamdMsMax = 15_000;

export const command: Command = {
  usage: [
    "tyto up [--data DIR]",
    "",
    "  --data DIR   where secrets, mail and the database lie (default: data/, or TYTO_DATA)",
    "",
    "Ports and other settings are environment variables or lines in .env: see cli/README.md.",
    "TYTO_PORT_OFFSET=1000 moves all ports, for a second installation on the same machine.",
  ].join("\n"),
  async run(argv) {
    const { values } = parseArguments(argv, { data: { type: "string" } }, this.usage);
    const env = { ...environment(), ...(values.data === undefined ? {} : { TYTO_DATA: values.data }) };
    const here = places(env);
    const settings = loadSettings(env);
    const { gateway, nats, convex } = urls({ settings });
    await mkdir(here.dataDir, { recursive: true, mode: 0o700 });
    assertRoom(here.dataDir);
    const claim = await claimData(here.dataDir, {
      pid: process.pid,
      startedAtMs: Date.now(),
      gatewayUrl: gateway,
      siteUrl: settings.siteUrl,
      natsUrl: nats,
      convexUrl: convex,
      ports: portsInUse(settings),
    });

    const startedMs = performance.now();
    const stopping = stopOnSignal();
    const tiers: Keeper[][] = [];
    try {
      const summary = await Promise.race([
        bringUp(
          { places: here, settings, env, path: searchPath(env, here.cacheDir) },
          tiers,
          stopping.signal,
        ),
        aborted(stopping.signal),
      ]);
      if (summary) {
        say(
          `\n${summarize({ ...summary, tookText: duration(performance.now() - startedMs) }, process.cwd())}\n`,
        );
        await aborted(stopping.signal);
      }
      return 0;
    } catch (error) {
      if (stopping.signal.aborted) return 0;
      if (error instanceof NotReady) throw new Trouble(error.message, "its lines above say why", error);
      throw error;
    } finally {
      stopping.abort();
      await stopInReverse(tiers);
      await claim.release();
      if (tiers.length > 0) say(`${marks.ok} stopped; the data is in ${here.dataDir}`);
    }
  },
};

/** Everything, in the order in which parts need each other. `tiers` grows as parts start, so that they can be stopped. */
async function bringUp(
  base: Omit<Installation, "secrets">,
  tiers: Keeper[][],
  signal: AbortSignal,
): Promise<Omit<Summary, "tookText">> {
  const { places: here, settings, env } = base;
  await assertPortsFree(settings);
  const machine = thisMachine(env, (text) => say(colours.dim(`  ${text}`)));
  const natsServer = await provideNatsServer(machine);
  if (natsServer.kind === "missing") throw new Trouble(natsServer.reason, natsServer.mend);

  const secretsPath = join(here.dataDir, "secrets.env");
  const { secrets, made } = await ensureSecrets(secretsPath);
  if (made.length > 0) say(`${marks.ok} secrets made in ${secretsPath}`);
  const installation: Installation = { ...base, secrets };

  const show = journal({ parts: partNames, quiet: new Set(["nats", "clamd", "freshclam"]), nowMs: Date.now });
  const disk = watchDisk(
    {
      freeMb: () => freeMbOn(here.dataDir),
      restartNats: () =>
        tiers
          .flat()
          .find(({ name }) => name === "nats")
          ?.restart(),
      say: (text) => say(`${marks.partly} ${text}`),
      wait: (ms, stop) => ports.wait(ms, stop),
    },
    here.dataDir,
    settings.storeFreeMbMin,
  );
  const ports = systemPorts(await survivorGuard(machine), (happening) => {
    disk.see(happening);
    show(happening);
  });
  disk.run(signal).catch((error: unknown) => complain(`the disk is looked at no more: ${String(error)}`));
  const start = async (...parts: Part[]) => {
    signal.throwIfAborted();
    const keepers = parts.map((part) => keep(part, ports));
    tiers.push(keepers);
    await Promise.all(keepers.map(({ ready }) => ready));
  };
  const timed = async (work: Promise<string>, what: string) => {
    const beganMs = performance.now();
    const outcome = await work;
    say(`${marks.ok} ${what} ${outcome} ${colours.dim(duration(performance.now() - beganMs))}`);
  };

  const dashboard = timed(buildDashboard(here.root, { ...env, PATH: base.path }, signal), "dashboard");
  const clamd = startClamd(installation, machine, (part) => start(part));
  const signing = fastestSigning(env, signingClock(here.root));
  // All are awaited below; a failure meanwhile is not lost, and must not end the process before it is told.
  dashboard.catch(() => undefined);
  clamd.catch(() => undefined);
  signing.catch(() => undefined);

  await start(natsPart(installation, natsServer.path), convexPart(installation));
  await provisionBus({ url: urls(installation).nats, password: secrets.NATS_ADMIN_PASSWORD });
  await timed(
    deployFunctions(
      {
        root: here.root,
        url: urls(installation).convex,
        adminKey: secrets.CONVEX_ADMIN_KEY,
        env: { ...env, PATH: base.path },
        stampPath: join(here.dataDir, "convex/deployed.sha256"),
        signal,
      },
      functionEnvironment(secrets, settings.siteUrl),
    ),
    "Convex functions",
  );
  await dashboard;
  const tuned: Installation = { ...installation, signing: await signing };
  await start(
    ...(["mta", "bounce", "recorder", "gateway"] as const).map((name) => servicePart(tuned, name)),
    ...(settings.llmProvider === undefined ? [] : [servicePart(installation, "llm")]),
  );
  const scanner = start(servicePart(installation, "scanner"));
  scanner.catch(() => undefined);
  const signatures = await within(clamdMsMax, clamd, { kind: "coming" } as const);
  if (signatures.kind === "full" || signatures.kind === "test-only") await scanner;
  return { settings, secretsPath, signatures };
}

/** Signatures, then clamd, then what keeps them fresh. Mail with attachments waits until clamd answers. */
async function startClamd(
  installation: Installation,
  machine: Machine,
  start: (part: Part) => Promise<void>,
): Promise<Signatures | { kind: "no-clamd"; reason: string }> {
  const { settings, places: here } = installation;
  const clamd = await provideClamd(machine);
  if (clamd.kind === "missing") return { kind: "no-clamd", reason: clamd.reason };
  const signatures = await chooseSignatures(settings.signatures, machine);
  const config = await writeClamdConfig(here.dataDir, settings.ports.CLAMAV_PORT, signatures.directory);
  await start(clamdPart(installation, clamd.path, config));
  if (signatures.kind === "full" && signatures.refresh)
    await start(freshclamPart(installation, signatures.refresh));
  return signatures;
}

async function chooseSignatures(wanted: string, machine: Machine): Promise<Signatures> {
  if (wanted === "auto") return provideSignatures(machine);
  if (wanted === "test")
    return { kind: "test-only", directory: await testSignatures(machine), reason: "TYTO_SIGNATURES=test" };
  return { kind: "full", directory: wanted, from: wanted };
}

/** Functions, database and streams must be able to begin. */
const startMbMin = 64;

function assertRoom(dataDir: string): void {
  const freeMb = freeMbOn(dataDir);
  if (freeMb < startMbMin)
    throw new Trouble(
      `the disk of ${dataDir} has ${freeMb} MB left, and Tyto needs ${startMbMin} MB to start`,
      "free some of it, or use a folder on another disk: ./tyto up --data DIR",
    );
}

async function assertPortsFree(settings: Settings): Promise<void> {
  const { gatewayHost, bounceHost } = settings;
  const hosts: Partial<Record<PortName, string>> = {
    GATEWAY_PORT: gatewayHost,
    WEB_PORT: gatewayHost,
    BOUNCE_PORT: bounceHost,
  };
  const wanted = Object.entries(portsInUse(settings)) as [PortName, number][];
  const problems: string[] = [];
  for (const [name, port] of wanted) {
    const twin = wanted.find(([other, otherPort]) => other < name && otherPort === port);
    if (twin) problems.push(`${name} and ${twin[0]} are both ${port}`);
    else if (!isFree(port, hosts[name]))
      problems.push(
        `port ${port} is taken by ${(await holderOf(port)) ?? "another program"}: end it, or set ${name}`,
      );
  }
  if (problems.length > 0)
    throw new Trouble(problems.join("\n"), "TYTO_PORT_OFFSET=1000 ./tyto up moves all ports at once");
}

/** On Linux parts end when `tyto up` is killed without a chance to stop them; elsewhere they would live on. */
async function survivorGuard(machine: Machine): Promise<(argv: readonly string[]) => string[]> {
  const setpriv = machine.which("setpriv");
  const guard = [setpriv ?? "", "--pdeathsig", "TERM", "--"];
  const works = setpriv !== undefined && (await machine.run([...guard, "true"])).code === 0;
  return (argv) => (works ? [...guard, ...argv] : [...argv]);
}

function stopOnSignal(): AbortController {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      if (!stopping.signal.aborted) say(colours.dim(`\n${name}: stopping`));
      else complain("still stopping; mail in hand is being finished");
      stopping.abort();
    });
  return stopping;
}

/** Resolves with undefined when the signal fires. */
const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });

function within<T, L>(ms: number, work: Promise<T>, late: L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const bound = new Promise<L>((resolve) => {
    timer = setTimeout(resolve, ms, late);
  });
  return Promise.race([work, bound]).finally(() => clearTimeout(timer));
}
