import { Address } from "@tyto/contracts";
import { parseServers, type Server, systemServers } from "@tyto/dns";
import { busSettings, count, list, loadConfig, port, processSettings, secret } from "@tyto/service";
import { z } from "zod";

const shape = {
  ...busSettings,
  ...processSettings(3104),
  BOUNCE_HOST: z.string().default("127.0.0.1"),
  BOUNCE_PORT: port(2525),
  BOUNCE_VERP_KEY: secret(),
  BOUNCE_RECIPIENTS: list().pipe(z.array(Address)),
  BOUNCE_TLS_DIR: z.string().default("data/bounce"),
  // A Convex HTTP action, by which the raw message is stored, takes requests below 20 MiB.
  BOUNCE_MESSAGE_MB: count(19, 19),
  BOUNCE_CONNECTIONS: count(200, 10_000),
  BOUNCE_MEMORY_MB: count(200, 16_384),
  MAIL_HOSTNAME: z.string().min(1).toLowerCase().default("localhost"),
  TYTO_DNS_SERVERS: z
    .string()
    .transform((text, context): Server[] => {
      try {
        return parseServers(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    })
    .optional(),
};

export type Config = ReturnType<typeof readConfig>;

const mebibyte = 1_048_576;

/** The settings of bounce from the environment. Throws ConfigError that names every wrong one. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const given = loadConfig("bounce", shape, env);
  return {
    nats: { url: given.NATS_URL, user: given.NATS_USER, password: given.NATS_PASSWORD },
    health: { host: given.HEALTH_HOST, port: given.HEALTH_PORT },
    logLevel: given.LOG_LEVEL,
    host: given.BOUNCE_HOST,
    port: given.BOUNCE_PORT,
    hostname: given.MAIL_HOSTNAME,
    verpKey: given.BOUNCE_VERP_KEY,
    recipients: given.BOUNCE_RECIPIENTS,
    tlsDir: given.BOUNCE_TLS_DIR,
    dnsServers: given.TYTO_DNS_SERVERS ?? systemServers(),
    messageBytesMax: given.BOUNCE_MESSAGE_MB * mebibyte,
    connectionsMax: given.BOUNCE_CONNECTIONS,
    /** What all messages on their way in may hold together. */
    memoryBytesMax: given.BOUNCE_MEMORY_MB * mebibyte,
  };
}
