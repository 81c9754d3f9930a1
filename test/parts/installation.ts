/**
 * A whole Tyto for tests and measurements: `tyto up` itself, as a process of its own, on free ports, with its data in a
 * throwaway folder. What is tested is what people run.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageStatus } from "@tyto/contracts";
import { openApi } from "./installation-api.ts";
import { openStore } from "./installation-store.ts";
import { freePort } from "./ports.ts";
import { type Part, type RunningProcess, TytoUp } from "./tyto-up.ts";

export type { Part, RunningProcess } from "./tyto-up.ts";

export type Installation = {
  dataDir: string;
  apiUrl: string;
  webUrl: string;
  apiKey: string;
  bouncePort: number;
  natsUrl: string;
  /** A port by its name in the environment of `tyto up`. */
  port(name: string): number;
  /** A value of the secrets file. */
  secret(name: string): string;
  /** A request to the HTTP API with the installation's root key. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Adds a sending domain and waits until mail can be sent from it. */
  addDomain(domain: string): Promise<void>;
  /** Sends and gives the message id; fails unless the answer is 202. */
  send(mail: Record<string, unknown>, headers?: Record<string, string>): Promise<string>;
  /** The message as the API tells it, once `ready` is true of it. */
  message(id: string, ready?: (message: Message) => boolean, withinMs?: number): Promise<Message>;
  /** How many messages Convex holds with this status, up to `countMax`. */
  countMessages(status: MessageStatus, countMax?: number): Promise<number>;
  /** What Convex holds a message to be; one query, cheaper than asking the API. */
  stateOf(messageId: string): Promise<MessageStatus | undefined>;
  /** Every process of the installation, `tyto up` first. */
  processes(): RunningProcess[];
  /** The process of a part, such as `mta` or `nats-server`. */
  process(part: Part): RunningProcess | undefined;
  /** What `tyto up` has printed. */
  output(): string;
  /** Stops it and keeps the data; `start` again on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

export type Message = {
  id: string;
  status: string;
  recipients: { address: string; status: string; attempts: number; reason?: string; reply?: string }[];
  timeline: {
    at: string;
    event: string;
    recipient?: string;
    reply?: string;
    detail?: Record<string, unknown>;
  }[];
};

export type InstallationOptions = {
  /** Recipient domain → `host:port`; `*` for all. */
  routes?: Readonly<Record<string, string>>;
  dnsServers?: string;
  env?: Readonly<Record<string, string>>;
  /** Data that are there already, such as restored ones; a new folder otherwise. */
  dataDir?: string;
};

const portNames = [
  ...[
    "GATEWAY_PORT",
    "WEB_PORT",
    "CONVEX_PORT",
    "CONVEX_SITE_PORT",
    "NATS_PORT",
    "CLAMAV_PORT",
    "BOUNCE_PORT",
  ],
  ...["GATEWAY_HEALTH_PORT", "MTA_HEALTH_PORT", "SCANNER_HEALTH_PORT", "BOUNCE_HEALTH_PORT"],
  ...["RECORDER_HEALTH_PORT", "LLM_HEALTH_PORT", "LLM_PORT"],
];

export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "tyto-installation-")));
  const ports = Object.fromEntries(
    await Promise.all(portNames.map(async (name) => [name, await freePort()] as const)),
  );
  const environment = environmentOf(options, dataDir, ports);
  const apiUrl = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  const up = new TytoUp(environment, `${apiUrl}/readyz`);
  await up.start();
  const secrets = await readSecrets(dataDir);
  const apiKey = secrets.MTA_API_KEY ?? "";
  return {
    dataDir,
    apiUrl,
    webUrl: `http://localhost:${ports.WEB_PORT}`,
    apiKey,
    bouncePort: Number(environment.BOUNCE_PORT),
    natsUrl: `nats://127.0.0.1:${ports.NATS_PORT}`,
    port: (name) => Number(ports[name]),
    secret: (name) => secrets[name] ?? "",
    ...openApi(apiUrl, apiKey),
    ...openStore(`http://127.0.0.1:${ports.CONVEX_PORT}`, secrets.GATEWAY_JWT_KEY ?? ""),
    processes: () => up.processes(),
    process: (part) => up.process(part),
    output: () => up.output(),
    async restart() {
      await up.end();
      await up.start();
    },
    async stop() {
      await up.end();
      const left = (await readdir(dataDir).catch(() => [])).length;
      if (left > 0) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const environmentOf = (
  { routes = {}, dnsServers, env }: InstallationOptions,
  dataDir: string,
  ports: Readonly<Record<string, number>>,
): Record<string, string | undefined> => ({
  ...process.env,
  ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
  SITE_URL: `http://localhost:${ports.WEB_PORT}`,
  TYTO_DATA: dataDir,
  MAIL_HOSTNAME: "mail.tyto.test",
  TYTO_ROUTES: Object.entries(routes)
    .map(([domain, target]) => `${domain}=${target}`)
    .join(","),
  ...(dnsServers === undefined ? {} : { TYTO_DNS_SERVERS: dnsServers, MTA_ALLOW_PRIVATE: "true" }),
  NO_COLOR: "1",
  ...env,
});

async function readSecrets(dataDir: string): Promise<Record<string, string>> {
  const lines = (await readFile(join(dataDir, "secrets.env"), "utf8")).split("\n");
  return Object.fromEntries(
    lines
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
