import { randomBytes } from "node:crypto";
import { Callers } from "./auth/caller.ts";
import { Deployment, LEASH_MS_MAX } from "./deployment.ts";
import { type BehindDoor, HttpServer } from "./http/server.ts";
import type { Synchronous } from "./store/database.ts";
import { type Guard, NO_GUARD } from "./watchdog/guard.ts";

export type ConvexLocalOptions = {
  /** Where everything is kept; without it, memory. */
  dataDir?: string | undefined;
  host?: string | undefined;
  /** 0, the default, takes a free port. */
  port?: number | undefined;
  sitePort?: number | undefined;
  cloudOrigin?: string | undefined;
  siteOrigin?: string | undefined;
  instanceName?: string | undefined;
  /** Hex. Made up when absent, so cursors and upload URLs do not outlive the process. */
  instanceSecret?: string | undefined;
  /** "name|hex"; made up when absent. */
  adminKey?: string | undefined;
  /** Environment variables of the deployment, set before it starts. */
  env?: Record<string, string> | undefined;
  synchronous?: Synchronous | undefined;
  /** Hide error texts and log lines from callers that are not admins. */
  redact?: boolean | undefined;
  /** Bytes that mutations may write within a second; 4 MiB as in the official backend, in memory 0: any number. */
  writeBytesPerSecondMax?: number | undefined;
  /** Share of mutations that are rolled back and run again at random, as when they conflict; 0 by default. */
  retryPercent?: number | undefined;
  /** A query or mutation that computes without end is stopped after this; 5 s by default. */
  functionMsMax?: number | undefined;
  /** The public ports belong to another process, which watches this one. */
  behind?: (BehindDoor & { guard: Guard }) | undefined;
  now?: (() => number) | undefined;
  log?: ((event: string, fields: Record<string, unknown>) => void) | undefined;
};

export type ConvexLocal = {
  /** Address of the API and the WebSocket. */
  url: string;
  /** Address of HTTP actions. */
  siteUrl: string;
  adminKey: string;
  stop(): Promise<void>;
};

const WRITE_BYTES_PER_SECOND_MAX = 4 * 1024 * 1024;

/** Starts a Convex deployment in this process. */
export async function startConvexLocal(options: ConvexLocalOptions = {}): Promise<ConvexLocal> {
  const instanceName = options.instanceName ?? "tyto";
  const adminKey = options.adminKey ?? `${instanceName}|${randomBytes(32).toString("hex")}`;
  const host = options.host ?? "127.0.0.1";
  const deployment = new Deployment({
    dataDir: options.dataDir ?? null,
    synchronous: options.synchronous ?? "FULL",
    instanceName,
    instanceSecret: options.instanceSecret ?? randomBytes(32).toString("hex"),
    writeBytesPerSecondMax:
      options.writeBytesPerSecondMax ?? (options.dataDir === undefined ? 0 : WRITE_BYTES_PER_SECOND_MAX),
    retryPercent: options.retryPercent ?? 0,
    leashMsMax: options.functionMsMax ?? LEASH_MS_MAX,
    guard: options.behind?.guard ?? NO_GUARD,
    now: options.now ?? (() => Date.now()),
    log: options.log ?? (() => {}),
  });
  deployment.environment.update(Object.entries(options.env ?? {}).map(([name, value]) => ({ name, value })));
  const server = new HttpServer(deployment, new Callers(adminKey, deployment.tokens), {
    host,
    port: options.port ?? 0,
    sitePort: options.sitePort ?? 0,
    redact: options.redact ?? false,
    behind: options.behind,
  });
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${reachable}:${server.port}`;
  const siteUrl = `http://${reachable}:${server.sitePort}`;
  deployment.setOrigins(options.cloudOrigin ?? url, options.siteOrigin ?? siteUrl);
  await deployment.start();
  server.open();
  return {
    url,
    siteUrl,
    adminKey,
    stop: async () => {
      await server.stop();
      await deployment.stop();
    },
  };
}
