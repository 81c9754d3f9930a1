/** The SMTP port as its own process with a nats-server and a DNS of its own, and nothing else. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats } from "@tyto/bus/testing";
import { Domain, defaultOrganization } from "@tyto/contracts";
import { startDns } from "@tyto/dns/testing";
import { freePort } from "@tyto/test/parts/ports.ts";
import { until } from "@tyto/test/parts/until.ts";

export type PortAlone = {
  port: number;
  pid: number;
  verpKey: string;
  /** Host of return paths that it takes. */
  host: string;
  metric(name: string): Promise<number>;
  stop(): Promise<void>;
};

const root = join(import.meta.dir, "../..");

export async function startPortAlone(env: Record<string, string> = {}): Promise<PortAlone> {
  const [nats, dns, dir, port, health] = await Promise.all([
    startNats({ users: true, syncAlways: true }),
    startDns(),
    mkdtemp(join(tmpdir(), "tyto-bench-port-")),
    freePort(),
    freePort(),
  ]);
  const recorder = await nats.connect("recorder");
  const host = "bounces.bench.test";
  await recorder.bucket("DOMAINS").put("bench.test", {
    domain: Domain.parse("bench.test"),
    organizationId: defaultOrganization,
    returnPathHost: Domain.parse(host),
    keys: [],
    verified: true,
  });
  const verpKey = "a verp key of enough length";
  const login = nats.login("bounce");
  const child = Bun.spawn(
    [
      process.execPath,
      "--no-env-file",
      ...(process.env.BENCH_BUN_FLAGS?.split(" ") ?? []),
      join(root, "services/bounce/src/main.ts"),
    ],
    {
      env: {
        PATH: process.env.PATH,
        NATS_URL: login.url,
        NATS_USER: login.user,
        NATS_PASSWORD: login.password,
        BOUNCE_PORT: String(port),
        BOUNCE_VERP_KEY: verpKey,
        BOUNCE_RECIPIENTS: "help@bench.test",
        BOUNCE_TLS_DIR: join(dir, "tls"),
        BOUNCE_SPOOL_DIR: join(dir, "spool"),
        HEALTH_PORT: String(health),
        LOG_LEVEL: "warn",
        MAIL_HOSTNAME: "mail.bench.test",
        TYTO_DNS_SERVERS: dns.servers.map((server) => `${server.host}:${server.port}`).join(","),
        ...env,
      },
      // Standard output belongs to the result.
      stdout: "ignore",
      stderr: "inherit",
    },
  );
  const url = `http://127.0.0.1:${health}`;
  await until(
    "the port is open",
    async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200,
  );
  return {
    port,
    pid: child.pid,
    verpKey,
    host,
    async metric(name) {
      const text = await (await fetch(`${url}/metrics`)).text();
      return text
        .split("\n")
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      await nats.stop();
      await dns.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
