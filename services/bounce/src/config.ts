import { Address } from "@tyto/contracts";
import { parseServers, systemServers } from "@tyto/dns";
import {
  busSettings,
  count,
  list,
  loadConfig,
  port,
  processSettings,
  readBy,
  roomSettings,
  secret,
  storeDiskOf,
} from "@tyto/service";
import { z } from "zod";

const shape = {
  ...busSettings,
  ...processSettings(3104),
  BOUNCE_HOST: z.string().default("127.0.0.1"),
  BOUNCE_PORT: port(2525),
  BOUNCE_VERP_KEY: secret(),
  BOUNCE_RECIPIENTS: list().pipe(z.array(Address)),
  BOUNCE_TLS_DIR: z.string().default("data/bounce"),
  BOUNCE_SPOOL_DIR: z.string().default("data/bounce-spool"),
  // 25 MiB of attachments are 34.3 MiB in base64 with its line ends.
  BOUNCE_MESSAGE_MB: count(36, 256),
  BOUNCE_SPOOL_MB: count(8_192, 1_048_576),
  BOUNCE_CONNECTIONS: count(2_000, 20_000),
  BOUNCE_CONNECTIONS_PER_ADDRESS: count(20, 20_000),
  ...roomSettings,
  MAIL_HOSTNAME: z.string().min(1).toLowerCase().default("localhost"),
  TYTO_DNS_SERVERS: readBy(parseServers).optional(),
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
    spoolDir: given.BOUNCE_SPOOL_DIR,
    /** What all messages on their way in may hold on disk together. */
    spoolBytesMax: given.BOUNCE_SPOOL_MB * mebibyte,
    storeDisk: storeDiskOf(given),
    connectionsMax: given.BOUNCE_CONNECTIONS,
    connectionsPerAddressMax: given.BOUNCE_CONNECTIONS_PER_ADDRESS,
  };
}
