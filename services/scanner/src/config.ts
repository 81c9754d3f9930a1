import { busSettings, count, loadConfig, port, processSettings } from "@tyto/service";
import { z } from "zod";

const settings = {
  ...busSettings,
  ...processSettings(3103),
  CLAMAV_HOST: z.string().default("127.0.0.1"),
  CLAMAV_PORT: port(3310),
  SCANNER_CONCURRENCY: count(4, 32),
};

/** What the scanner needs to start. Throws ConfigError naming every wrong variable. */
export function scannerConfig(env: Record<string, string | undefined> = process.env) {
  const read = loadConfig("scanner", settings, env);
  return {
    nats: { url: read.NATS_URL, user: read.NATS_USER, password: read.NATS_PASSWORD },
    health: { host: read.HEALTH_HOST, port: read.HEALTH_PORT },
    logLevel: read.LOG_LEVEL,
    clamd: { host: read.CLAMAV_HOST, port: read.CLAMAV_PORT },
    concurrency: read.SCANNER_CONCURRENCY,
  };
}
export type ScannerConfig = ReturnType<typeof scannerConfig>;
