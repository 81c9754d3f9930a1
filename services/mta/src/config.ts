import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Address } from "@tyto/contracts";
import { parseServers, type Server, systemServers } from "@tyto/dns";
import {
  busSettings,
  ConfigError,
  count,
  loadConfig,
  processSettings,
  readBy,
  secret,
  tracingOf,
  tracingSettings,
} from "@tyto/service";
import { z } from "zod";
import { parsePlan, plainPlan } from "./egress/plan.ts";
import { providerShape, providersOf } from "./providers/settings.ts";
import { parseRoutes } from "./routes.ts";
import { parseRuleFile, poolProblems, shippedRules } from "./rules/file.ts";
import { parseSiteLimits } from "./shaping/profiles.ts";
import { processName } from "./shares/name.ts";
import type { Timeouts } from "./smtp.ts";
import { parseFloors } from "./tls/floor.ts";

/** A time in seconds, within bounds. */
const seconds = (fallback: number, max: number) => z.coerce.number().min(0.1).max(max).default(fallback);

/** The certificates of a PEM file, one text each. */
function readAuthorities(path: string): string[] {
  const found = readFileSync(path, "utf8").match(
    /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
  );
  if (found === null) throw new TypeError(`must name a PEM file with certificates, and ${path} has none`);
  return found.map((text) => new X509Certificate(text).toString());
}

const shape = {
  ...busSettings,
  ...tracingSettings,
  ...processSettings(3102),
  MTA_SECRET: secret(),
  BOUNCE_VERP_KEY: secret(),
  MAIL_HOSTNAME: z.string().min(1).default("localhost"),
  SITE_URL: z.url().default("http://localhost:3000"),
  TYTO_DNS_SERVERS: readBy(parseServers).optional(),
  MTA_EGRESS_FILE: readBy((path) => parsePlan(readFileSync(path, "utf8"))).optional(),
  MTA_EGRESS_STRICT: z.stringbool().default(true),
  TYTO_ROUTES: readBy(parseRoutes).default(parseRoutes("")),
  MTA_NAME: z
    .string()
    .regex(/^[a-z0-9-]{1,60}$/, "lower-case letters, digits and hyphens only")
    .optional(),
  MTA_CONCURRENCY: count(100, 2_000),
  MTA_SITE_CONNECTIONS: count(20, 2_000),
  MTA_SITE_LIMITS: readBy(parseSiteLimits).default(parseSiteLimits("")),
  MTA_RULES_FILE: readBy((path) => parseRuleFile(readFileSync(path, "utf8"))).default(shippedRules()),
  MTA_CACHE_MB: count(64, 65_536),
  MTA_ALLOW_PRIVATE: z.stringbool().default(false),
  TYTO_DNS_VALIDATES: z.stringbool().optional(),
  MTA_TLS: readBy(parseFloors).default(parseFloors("")),
  MTA_TLS_CA_FILE: readBy(readAuthorities).default([]),
  MTA_TLS_REPORT_FROM: Address.optional(),
  ...providerShape,
  RETRY_FIRST_S: seconds(300, 86_400),
  DELAY_NOTICE_S: seconds(14_400, 432_000),
  // RFC 5321 §4.5.3.2 for all but the connection, where Postfix's 30 s have proved right.
  SMTP_CONNECT_S: seconds(30, 600),
  SMTP_GREETING_S: seconds(300, 3_600),
  SMTP_COMMAND_S: seconds(300, 3_600),
  SMTP_BLOCK_S: seconds(180, 3_600),
  SMTP_FINAL_S: seconds(600, 3_600),
  SMTP_MESSAGE_S: seconds(1_800, 14_400),
};

export type Config = ReturnType<typeof readConfig>;

/** The settings of the mta from the environment. Throws ConfigError that names every wrong one. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const settings = loadConfig("mta", shape, env);
  const { providers, problems } = providersOf(settings);
  const egress = settings.MTA_EGRESS_FILE ?? plainPlan(settings.MAIL_HOSTNAME);
  problems.push(...poolProblems(settings.MTA_RULES_FILE, egress));
  if (problems.length > 0) throw new ConfigError("mta", problems);
  const timeouts: Timeouts = {
    connectMs: settings.SMTP_CONNECT_S * 1_000,
    greetingMs: settings.SMTP_GREETING_S * 1_000,
    commandMs: settings.SMTP_COMMAND_S * 1_000,
    blockMs: settings.SMTP_BLOCK_S * 1_000,
    finalMs: settings.SMTP_FINAL_S * 1_000,
    messageMs: settings.SMTP_MESSAGE_S * 1_000,
  };
  const servers: Server[] = settings.TYTO_DNS_SERVERS ?? systemServers();
  return {
    nats: { url: settings.NATS_URL, user: settings.NATS_USER, password: settings.NATS_PASSWORD },
    /** Among the mta processes on one NATS. */
    name: settings.MTA_NAME ?? processName(settings.HEALTH_PORT),
    health: { host: settings.HEALTH_HOST, port: settings.HEALTH_PORT },
    logLevel: settings.LOG_LEVEL,
    tracing: tracingOf(settings),
    secret: settings.MTA_SECRET,
    verpKey: settings.BOUNCE_VERP_KEY,
    ehloName: settings.MAIL_HOSTNAME,
    egress,
    isEgressStrict: settings.MTA_EGRESS_STRICT,
    siteUrl: settings.SITE_URL.replace(/\/$/, ""),
    dnsServers: servers,
    routes: settings.TYTO_ROUTES,
    providers,
    concurrency: settings.MTA_CONCURRENCY,
    siteConnectionsMax: settings.MTA_SITE_CONNECTIONS,
    siteLimits: settings.MTA_SITE_LIMITS,
    rules: settings.MTA_RULES_FILE,
    cacheBytesMax: settings.MTA_CACHE_MB * 1_048_576,
    allowPrivate: settings.MTA_ALLOW_PRIVATE,
    firstWaitMs: settings.RETRY_FIRST_S * 1_000,
    delayNoticeMs: settings.DELAY_NOTICE_S * 1_000,
    dnsValidates: settings.TYTO_DNS_VALIDATES,
    tlsFloors: settings.MTA_TLS,
    authorities: settings.MTA_TLS_CA_FILE,
    tlsReporter:
      settings.MTA_TLS_REPORT_FROM === undefined
        ? undefined
        : {
            domain: settings.MTA_TLS_REPORT_FROM.slice(
              settings.MTA_TLS_REPORT_FROM.lastIndexOf("@") + 1,
            ).toLowerCase(),
            contact: settings.MTA_TLS_REPORT_FROM,
          },
    timeouts,
  };
}
