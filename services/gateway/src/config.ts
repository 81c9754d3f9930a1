import { Domain } from "@tyto/contracts";
import { parseServers, systemServers } from "@tyto/dns";
import {
  busSettings,
  count,
  flag,
  loadConfig,
  port,
  processSettings,
  readBy,
  roomSettings,
  secret,
  signingKey,
  storeDiskOf,
  tracingOf,
  tracingSettings,
} from "@tyto/service";
import { z } from "zod";
import { modeOf } from "./sender-rules/judge.ts";

const settings = {
  ...busSettings,
  ...tracingSettings,
  ...processSettings(3101),
  GATEWAY_HOST: z.string().default("127.0.0.1"),
  GATEWAY_PORT: port(3100),
  /** Folder of the built dashboard; without it only the API is served. */
  WEB_ROOT: z.string().min(1).optional(),
  WEB_PORT: port(3000),
  SITE_URL: z.url().default("http://localhost:3000"),
  CONVEX_URL: z.url().default("http://127.0.0.1:3210"),
  GATEWAY_JWT_KEY: signingKey(),
  BETTER_AUTH_SECRET: secret(),
  MTA_API_KEY: secret(),
  MAIL_HOSTNAME: Domain,
  BOUNCE_VERP_KEY: secret(),
  TYTO_DNS_SERVERS: readBy(parseServers).optional(),
  /** By default where SITE_URL leads: this machine warns, any other refuses. */
  BULK_SENDER_RULES: z.enum(["refuse", "warn"]).optional(),
  /** Keys older than this get successors by themselves; 0: never. */
  DKIM_ROTATE_DAYS: z.coerce.number().int().min(0).max(3_650).default(180),
  RATE_LIMIT_PER_S: count(200, 1_000_000),
  TRUST_PROXY: flag(false),
  ...roomSettings,
};

/** What the gateway needs to start. Throws ConfigError naming every wrong variable. */
export function gatewayConfig(env: Record<string, string | undefined> = process.env) {
  const read = loadConfig("gateway", settings, env);
  return {
    nats: { url: read.NATS_URL, user: read.NATS_USER, password: read.NATS_PASSWORD },
    health: { host: read.HEALTH_HOST, port: read.HEALTH_PORT },
    logLevel: read.LOG_LEVEL,
    listen: { host: read.GATEWAY_HOST, port: read.GATEWAY_PORT },
    web: read.WEB_ROOT === undefined ? undefined : { root: read.WEB_ROOT, port: read.WEB_PORT },
    siteUrl: read.SITE_URL.replace(/\/$/, ""),
    convexUrl: read.CONVEX_URL.replace(/\/$/, ""),
    jwtKey: read.GATEWAY_JWT_KEY,
    authSecret: read.BETTER_AUTH_SECRET,
    rootApiKey: read.MTA_API_KEY,
    mailHostname: read.MAIL_HOSTNAME,
    verpKey: read.BOUNCE_VERP_KEY,
    dnsServers: read.TYTO_DNS_SERVERS ?? systemServers(),
    bulkRules: read.BULK_SENDER_RULES ?? modeOf(read.SITE_URL),
    rotateDays: read.DKIM_ROTATE_DAYS,
    rateLimitPerS: read.RATE_LIMIT_PER_S,
    trustProxy: read.TRUST_PROXY,
    storeDisk: storeDiskOf(read),
    tracing: tracingOf(read),
  };
}
export type GatewayConfig = ReturnType<typeof gatewayConfig>;
