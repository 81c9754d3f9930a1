/** Every process of an installation: its command, its own settings and secrets and nobody else's, when it is ready. */
import { join } from "node:path";
import type { Environment, Places } from "../places.ts";
import type { Part } from "../supervise/supervisor.ts";
import { isClamdReady, isConvexReady, isNatsReady, isServiceReady } from "./readiness.ts";
import { instanceName, type SecretName, type Secrets, secretNames } from "./secrets.ts";
import type { PortName, Settings } from "./settings.ts";

export type Installation = {
  places: Places;
  settings: Settings;
  secrets: Secrets;
  /** The environment of `tyto up`. Parts get from it only what they are known to read. */
  env: Environment;
  path: string;
  /** What makes the mta sign fastest on this processor; signing-speed.ts. */
  signing?: Environment;
};

/** What any program may need to know about the machine. Proxies are left out: nothing here talks HTTP to the world. */
const ofMachine = [
  "HOME",
  "LANG",
  "TZ",
  "TMPDIR",
  "USER",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
];

const pick = (env: Environment, names: readonly string[]): Environment =>
  Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));

type ServiceName = "gateway" | "scanner" | "mta" | "bounce" | "recorder" | "llm";

/**
 * What each service reads: its own secrets, settings that begin with its name, and those that several services share.
 * The first two never meet: a secret is not taken from the environment of `tyto up`.
 */
const services: Record<ServiceName, { health: PortName; shared: string[]; secrets: SecretName[] }> = {
  gateway: {
    health: "GATEWAY_HEALTH_PORT",
    shared: [
      ...["TYTO_DNS_SERVERS", "RATE_LIMIT_PER_S", "TRUST_PROXY", "DKIM_ROTATE_DAYS", "BULK_SENDER_RULES"],
      "STORE_FREE_MB_MIN",
    ],
    secrets: ["GATEWAY_JWT_KEY", "BETTER_AUTH_SECRET", "MTA_API_KEY", "BOUNCE_VERP_KEY"],
  },
  scanner: { health: "SCANNER_HEALTH_PORT", shared: [], secrets: [] },
  mta: {
    health: "MTA_HEALTH_PORT",
    shared: ["TYTO_DNS_SERVERS", "TYTO_DNS_VALIDATES", "TYTO_ROUTES", "RETRY_FIRST_S", "DELAY_NOTICE_S"],
    secrets: ["MTA_SECRET", "BOUNCE_VERP_KEY"],
  },
  bounce: {
    health: "BOUNCE_HEALTH_PORT",
    shared: ["TYTO_DNS_SERVERS", "STORE_FREE_MB_MIN"],
    secrets: ["BOUNCE_VERP_KEY"],
  },
  recorder: {
    health: "RECORDER_HEALTH_PORT",
    shared: [],
    secrets: ["MTA_WEBHOOK_SECRET", "RECORDER_JWT_KEY"],
  },
  llm: { health: "LLM_HEALTH_PORT", shared: [], secrets: ["LLM_TOKEN"] },
};

const ownPrefix: Record<ServiceName, RegExp> = {
  gateway: /^GATEWAY_/,
  scanner: /^(SCANNER|CLAMAV)_/,
  mta: /^(MTA|SMTP|EMAIL)_/,
  bounce: /^BOUNCE_/,
  recorder: /^RECORDER_/,
  llm: /^LLM_/,
};

const settingsOf = (name: ServiceName, env: Environment): Environment => {
  const own = Object.keys(env).filter((setting) => ownPrefix[name].test(setting));
  const secret = new Set<string>(secretNames);
  return pick(env, [...own.filter((setting) => !secret.has(setting)), ...services[name].shared]);
};

export const serviceNames = Object.keys(services) as ServiceName[];

/** A service's own secrets, its NATS password as the NATS_PASSWORD that it reads. */
export const serviceSecrets = (name: ServiceName, secrets: Secrets): Record<string, string> => ({
  ...Object.fromEntries(services[name].secrets.map((secret) => [secret, secrets[secret]])),
  ...(name === "llm" ? {} : { NATS_PASSWORD: secrets[natsPassword[name]] }),
});

export const urls = ({ settings: { ports } }: Pick<Installation, "settings">) => ({
  gateway: `http://127.0.0.1:${ports.GATEWAY_PORT}`,
  convex: `http://127.0.0.1:${ports.CONVEX_PORT}`,
  convexSite: `http://127.0.0.1:${ports.CONVEX_SITE_PORT}`,
  nats: `nats://127.0.0.1:${ports.NATS_PORT}`,
});

/**
 * How often JavaScriptCore runs a piece of code before it is compiled a third time, 64,000 by itself. The paths of a message are wide
 * and flat: with that, threads compile for a fifth of the service's time and mail is no faster, in the mta and in the gateway.
 * docs/performance.md has the figures.
 */
const lateThirdCompiler = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "500000" };

export function servicePart(installation: Installation, name: ServiceName): Part {
  const { settings, secrets, env, places } = installation;
  const { health } = services[name];
  const { convex, convexSite, nats } = urls(installation);
  const { ports } = settings;
  const wired: Record<ServiceName, Environment> = {
    gateway: {
      ...lateThirdCompiler,
      GATEWAY_PORT: String(ports.GATEWAY_PORT),
      WEB_ROOT: join(places.root, "web/.output/public"),
      WEB_PORT: String(ports.WEB_PORT),
      SITE_URL: settings.siteUrl,
      CONVEX_URL: convex,
      MAIL_HOSTNAME: settings.mailHostname,
      STORE_DIR: places.dataDir,
    },
    scanner: { CLAMAV_HOST: "127.0.0.1", CLAMAV_PORT: String(ports.CLAMAV_PORT) },
    mta: {
      ...lateThirdCompiler,
      ...installation.signing,
      MAIL_HOSTNAME: settings.mailHostname,
      SITE_URL: settings.siteUrl,
    },
    bounce: {
      BOUNCE_PORT: String(ports.BOUNCE_PORT),
      BOUNCE_TLS_DIR: join(places.dataDir, "bounce"),
      BOUNCE_SPOOL_DIR: join(places.dataDir, "bounce-spool"),
      STORE_DIR: places.dataDir,
      MAIL_HOSTNAME: settings.mailHostname,
    },
    recorder: { CONVEX_URL: convex, CONVEX_SITE_URL: convexSite },
    llm: { LLM_PORT: String(ports.LLM_PORT) },
  };
  const bus: Environment = name === "llm" ? {} : { NATS_URL: nats, NATS_USER: name };
  return {
    name,
    argv: [process.execPath, "--no-env-file", join(places.root, `services/${name}/src/main.ts`)],
    cwd: places.root,
    env: {
      ...pick(env, [...ofMachine, "LOG_LEVEL"]),
      ...pick(
        env,
        Object.keys(env).filter((variable) => variable.startsWith("OTEL_")),
      ),
      ...settingsOf(name, env),
      PATH: installation.path,
      ...bus,
      ...wired[name],
      HEALTH_PORT: String(ports[health]),
      ...serviceSecrets(name, secrets),
    },
    problem: isServiceReady(ports[health]),
    // What happened waits on disk until it is recorded, so mail on its way goes first.
    ...(name === "recorder" ? { givesWay: true } : {}),
    readyMsMax: 60_000,
    // A service drains for at most 20 s by itself.
    stopMsMax: 25_000,
  };
}

const natsPassword = {
  gateway: "NATS_GATEWAY_PASSWORD",
  scanner: "NATS_SCANNER_PASSWORD",
  mta: "NATS_MTA_PASSWORD",
  bounce: "NATS_BOUNCE_PASSWORD",
  recorder: "NATS_RECORDER_PASSWORD",
} as const satisfies Record<Exclude<ServiceName, "llm">, SecretName>;

export function natsPart(installation: Installation, program: string): Part {
  const { places, settings, secrets, env } = installation;
  const passwords = Object.keys(secrets).filter((name) => name.startsWith("NATS_"));
  return {
    name: "nats",
    argv: [
      program,
      ...["-c", join(places.root, "ops/nats.conf")],
      ...["-a", "127.0.0.1", "-p", String(settings.ports.NATS_PORT)],
      ...["-sd", join(places.dataDir, "nats")],
    ],
    cwd: places.dataDir,
    env: { ...pick(env, ofMachine), PATH: installation.path, ...pick(secrets, passwords) },
    problem: isNatsReady(settings.ports.NATS_PORT),
    readyMsMax: 60_000,
    stopMsMax: 20_000,
  };
}

/** A recorder that catches up writes some 16 MiB a second; the official 4 MiB would throttle it. */
const writeBytesPerSecondMax = 64 * 1024 * 1024;

export function convexPart(installation: Installation): Part {
  const { places, settings, secrets, env } = installation;
  return {
    name: "convex",
    argv: [process.execPath, "--no-env-file", join(places.root, "packages/convex-local/src/main.ts")],
    cwd: places.root,
    env: {
      CONVEX_WRITE_BYTES_PER_SECOND_MAX: String(writeBytesPerSecondMax),
      ...pick(env, [
        ...ofMachine,
        "CONVEX_SYNCHRONOUS",
        "CONVEX_WRITE_BYTES_PER_SECOND_MAX",
        "CONVEX_FUNCTION_MS_MAX",
        "CONVEX_CALL_MEMORY_BYTES_MAX",
        "CONVEX_MEMORY_BYTES_MAX",
        "CONVEX_CONNECTIONS_MAX",
        "REDACT_LOGS_TO_CLIENT",
      ]),
      PATH: installation.path,
      CONVEX_DATA_DIR: join(places.dataDir, "convex"),
      CONVEX_HOST: "127.0.0.1",
      CONVEX_PORT: String(settings.ports.CONVEX_PORT),
      CONVEX_SITE_PORT: String(settings.ports.CONVEX_SITE_PORT),
      INSTANCE_NAME: instanceName,
      ...pick(secrets, ["INSTANCE_SECRET", "CONVEX_ADMIN_KEY"]),
    },
    problem: isConvexReady(settings.ports.CONVEX_PORT),
    givesWay: true,
    readyMsMax: 60_000,
    stopMsMax: 20_000,
  };
}

export function clamdPart(installation: Installation, program: string, config: string): Part {
  const { places, settings, env } = installation;
  return {
    name: "clamd",
    argv: [program, "--foreground", `--config-file=${config}`],
    cwd: places.dataDir,
    env: { ...pick(env, ofMachine), PATH: installation.path },
    problem: isClamdReady(settings.ports.CLAMAV_PORT),
    // A full set of signatures takes a slow machine a minute to load.
    readyMsMax: 240_000,
    stopMsMax: 10_000,
  };
}

export function freshclamPart(installation: Installation, argv: readonly string[]): Part {
  return {
    name: "freshclam",
    argv,
    cwd: installation.places.dataDir,
    env: { ...pick(installation.env, ofMachine), PATH: installation.path },
    problem: () => Promise.resolve(undefined),
    readyMsMax: 1_000,
    stopMsMax: 10_000,
  };
}
