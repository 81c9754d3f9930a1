import { parseServers, type Server, systemServers } from "@tyto/dns";
import { busSettings, count, loadConfig, processSettings, secret } from "@tyto/service";
import { z } from "zod";
import { parseRoutes } from "./routes.ts";

/** A setting read by a function that throws TypeError with words for the operator. */
const read = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });

const shape = {
  ...busSettings,
  ...processSettings(3102),
  MTA_SECRET: secret(),
  BOUNCE_VERP_KEY: secret(),
  MAIL_HOSTNAME: z.string().min(1).default("localhost"),
  TYTO_DNS_SERVERS: read(parseServers).optional(),
  TYTO_ROUTES: read(parseRoutes).default(parseRoutes("")),
  MTA_CONCURRENCY: count(50, 2_000),
  MTA_SITE_CONNECTIONS: count(20, 2_000),
  MTA_CACHE_MB: count(64, 65_536),
  MTA_ALLOW_PRIVATE: z.stringbool().optional(),
  RETRY_FIRST_S: z.coerce.number().min(0.1).max(86_400).default(300),
};

export type Config = ReturnType<typeof readConfig>;

/** The settings of the mta from the environment. Throws ConfigError that names every wrong one. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const settings = loadConfig("mta", shape, env);
  const servers: Server[] = settings.TYTO_DNS_SERVERS ?? systemServers();
  return {
    nats: { url: settings.NATS_URL, user: settings.NATS_USER, password: settings.NATS_PASSWORD },
    health: { host: settings.HEALTH_HOST, port: settings.HEALTH_PORT },
    logLevel: settings.LOG_LEVEL,
    secret: settings.MTA_SECRET,
    verpKey: settings.BOUNCE_VERP_KEY,
    ehloName: settings.MAIL_HOSTNAME,
    dnsServers: servers,
    routes: settings.TYTO_ROUTES,
    concurrency: settings.MTA_CONCURRENCY,
    siteConnectionsMax: settings.MTA_SITE_CONNECTIONS,
    cacheBytesMax: settings.MTA_CACHE_MB * 1_048_576,
    // Who names a resolver of their own has a network of their own; who does not, sends to the internet.
    allowPrivate: settings.MTA_ALLOW_PRIVATE ?? settings.TYTO_DNS_SERVERS !== undefined,
    firstWaitMs: settings.RETRY_FIRST_S * 1_000,
  };
}
