/**
 * A whole Tyto for tests and measurements: `tyto up` itself, as a process of its own, on free ports, with its data in a
 * throwaway folder. What is tested is what people run.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageStatus } from "@tyto/contracts";
import { api } from "@tyto/convex/api";
import { ConvexHttpClient } from "convex/browser";
import { importJWK, SignJWT } from "jose";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

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

export type RunningProcess = { pid: number; command: string };

/** How the command line of each part is recognised. */
const parts = {
  gateway: /services\/gateway\/src\/main\.ts/,
  scanner: /services\/scanner\/src\/main\.ts/,
  mta: /services\/mta\/src\/main\.ts/,
  bounce: /services\/bounce\/src\/main\.ts/,
  recorder: /services\/recorder\/src\/main\.ts/,
  "nats-server": /nats-server/,
  "convex-local": /packages\/convex-local\/src\/main\.ts/,
  clamd: /clamd/,
} as const;
export type Part = keyof typeof parts;

const startMsMax = 240_000;
const root = join(import.meta.dir, "../..");

export type InstallationOptions = {
  /** Recipient domain → `host:port`; `*` for all. */
  routes?: Readonly<Record<string, string>>;
  dnsServers?: string;
  env?: Readonly<Record<string, string>>;
  /** Data that are there already, such as restored ones; a new folder otherwise. */
  dataDir?: string;
};

export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "tyto-installation-")));
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
    ...[
      "GATEWAY_HEALTH_PORT",
      "MTA_HEALTH_PORT",
      "SCANNER_HEALTH_PORT",
      "BOUNCE_HEALTH_PORT",
      "RECORDER_HEALTH_PORT",
    ],
    ...["LLM_HEALTH_PORT", "LLM_PORT"],
  ];
  const ports = Object.fromEntries(
    await Promise.all(portNames.map(async (name) => [name, await freePort()] as const)),
  );
  const environment: Record<string, string | undefined> = {
    ...process.env,
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    SITE_URL: `http://localhost:${ports.WEB_PORT}`,
    TYTO_DATA: dataDir,
    MAIL_HOSTNAME: "mail.tyto.test",
    TYTO_ROUTES: Object.entries(options.routes ?? {})
      .map(([domain, target]) => `${domain}=${target}`)
      .join(","),
    ...(options.dnsServers === undefined ? {} : { TYTO_DNS_SERVERS: options.dnsServers }),
    NO_COLOR: "1",
    ...options.env,
  };
  const apiUrl = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  const webUrl = `http://localhost:${ports.WEB_PORT}`;
  let printed = "";
  let up: Bun.Subprocess | undefined;

  async function start(): Promise<void> {
    const child = Bun.spawn([process.execPath, "cli/src/main.ts", "up"], {
      cwd: root,
      env: environment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    up = child;
    const keep = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream)
        printed = (printed + decoder.decode(chunk, { stream: true })).slice(-2_000_000);
    };
    void keep(child.stdout);
    void keep(child.stderr);
    await until(
      "the installation is ready",
      async () => {
        if (child.exitCode !== null)
          throw new Error(`tyto up ended with ${child.exitCode}:\n${printed.slice(-4_000)}`);
        if (!/Tyto is (up|ready|running)/i.test(printed)) return false;
        const answer = await fetch(`${apiUrl}/readyz`).catch(() => undefined);
        return answer?.status === 200;
      },
      { withinMs: startMsMax, everyMs: 100 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${printed.slice(-6_000)}`);
    });
  }

  async function end(): Promise<void> {
    up?.kill("SIGTERM");
    await up?.exited;
  }

  await start();
  const secrets = Object.fromEntries(
    (await readFile(join(dataDir, "secrets.env"), "utf8"))
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  const apiKey = secrets.MTA_API_KEY ?? "";

  const call: Installation["call"] = (method, path, body, headers = {}) =>
    fetch(`${apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  async function serviceClient(): Promise<ConvexHttpClient> {
    const jwk = JSON.parse(Buffer.from(secrets.GATEWAY_JWT_KEY ?? "", "base64url").toString());
    const token = await new SignJWT({ role: "service" })
      .setProtectedHeader({ alg: "ES256", kid: "gateway", typ: "JWT" })
      .setIssuer("https://gateway.tyto.internal")
      .setAudience("convex")
      .setSubject("gateway")
      .setIssuedAt()
      .setExpirationTime("10m")
      .sign(await importJWK(jwk, "ES256"));
    const client = new ConvexHttpClient(`http://127.0.0.1:${ports.CONVEX_PORT}`, { logger: false });
    client.setAuth(token);
    return client;
  }

  let stateClient: { client: Promise<ConvexHttpClient>; sinceMs: number } | undefined;

  const children = (): RunningProcess[] => {
    const listing = Bun.spawnSync(["ps", "-eo", "pid=,ppid=,args="]).stdout.toString().split("\n");
    const rows = listing.flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
      return match ? [{ pid: Number(match[1]), parent: Number(match[2]), command: match[3] ?? "" }] : [];
    });
    const within = new Set([up?.pid ?? -1]);
    for (let grew = true; grew; ) {
      grew = false;
      for (const row of rows)
        if (within.has(row.parent) && !within.has(row.pid)) {
          within.add(row.pid);
          grew = true;
        }
    }
    return rows.filter((row) => within.has(row.pid)).map(({ pid, command }) => ({ pid, command }));
  };

  return {
    dataDir,
    apiUrl,
    webUrl,
    apiKey,
    bouncePort: Number(environment.BOUNCE_PORT),
    natsUrl: `nats://127.0.0.1:${ports.NATS_PORT}`,
    port: (name) => Number(ports[name]),
    secret: (name) => secrets[name] ?? "",
    call,
    async addDomain(domain) {
      const answer = await call("POST", "/v1/domains", { domain });
      if (answer.status !== 201)
        throw new Error(`adding ${domain} answered ${answer.status}: ${await answer.text()}`);
      await until(`${domain} has its keys`, async () => {
        const view = (await (await call("GET", `/v1/domains/${domain}`)).json()) as {
          records: { purpose: string }[];
        };
        return view.records.some((record) => record.purpose === "dkim");
      });
    },
    async send(mail, headers) {
      const answer = await call("POST", "/v1/emails", mail, headers);
      if (answer.status !== 202) throw new Error(`sending answered ${answer.status}: ${await answer.text()}`);
      return ((await answer.json()) as { id: string }).id;
    },
    message(id, ready = () => true, withinMs = 30_000) {
      let last = "";
      return until(
        `message ${id} gets there`,
        async () => {
          const answer = await call("GET", `/v1/emails/${id}`);
          last = await answer.text();
          if (answer.status !== 200) return undefined;
          const message = JSON.parse(last) as Message;
          return ready(message) ? message : undefined;
        },
        { withinMs, everyMs: 100 },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}; it stands at ${last}`);
      });
    },
    async countMessages(status, countMax = 100_000) {
      const client = await serviceClient();
      let total = 0;
      for (let cursor: string | null = null; total < countMax; ) {
        const answer: { page: unknown[]; cursor: string | null } = await client.query(
          api.service.listMessages,
          {
            status,
            cursor,
            limit: 500,
          },
        );
        total += answer.page.length;
        cursor = answer.cursor;
        if (cursor === null) break;
      }
      return total;
    },
    async stateOf(messageId) {
      // A token lives for ten minutes.
      if (stateClient === undefined || Date.now() - stateClient.sinceMs > 300_000)
        stateClient = { client: serviceClient(), sinceMs: Date.now() };
      const found = await (await stateClient.client).query(api.service.getMessage, { messageId });
      return found?.message.status;
    },
    processes: children,
    process: (part) =>
      children().find(
        ({ command }) => parts[part].test(command) && !/\bup\b.*cli|cli\/src\/main\.ts/.test(command),
      ),
    output: () => printed,
    async restart() {
      await end();
      await start();
    },
    async stop() {
      await end();
      const left = (await readdir(dataDir).catch(() => [])).length;
      if (left > 0) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
