import { z } from "zod";

const Port = z.coerce.number().int().min(0).max(65535);
const Flag = z.enum(["true", "false"]).transform((value) => value === "true");

const RetryPercent = z.coerce.number().min(0).max(100).default(0);

/** The retry mode of unit tests, which have no other settings. */
export const loadRetryPercent = (env: Record<string, string | undefined> = process.env): number =>
  RetryPercent.parse(env.CONVEX_RETRY_PERCENT);

const Settings = z.object({
  CONVEX_DATA_DIR: z.string().min(1).default("./data/convex"),
  CONVEX_HOST: z.string().min(1).default("127.0.0.1"),
  CONVEX_PORT: Port.default(3210),
  CONVEX_SITE_PORT: Port.default(3211),
  CONVEX_CLOUD_ORIGIN: z.url().optional(),
  CONVEX_SITE_ORIGIN: z.url().optional(),
  CONVEX_SYNCHRONOUS: z.enum(["FULL", "NORMAL", "OFF"]).default("FULL"),
  CONVEX_WRITE_BYTES_PER_SECOND_MAX: z.coerce.number().int().min(0).optional(),
  CONVEX_RETRY_PERCENT: RetryPercent,
  REDACT_LOGS_TO_CLIENT: Flag.default(false),
  INSTANCE_NAME: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .default("tyto"),
  INSTANCE_SECRET: z.string().regex(/^(?:[0-9a-f]{2}){16,}$/i, "must be at least 16 bytes in hex"),
  CONVEX_ADMIN_KEY: z.string().regex(/^[^|]+\|[0-9a-f]+$/i, "must be name|hex"),
});

/** Reads the settings; throws one error that names every wrong variable. */
export function loadConfig(env: Record<string, string | undefined> = process.env) {
  const parsed = Settings.safeParse(env);
  if (!parsed.success) throw new Error(`Wrong settings:\n${z.prettifyError(parsed.error)}`);
  const settings = parsed.data;
  return {
    dataDir: settings.CONVEX_DATA_DIR,
    host: settings.CONVEX_HOST,
    port: settings.CONVEX_PORT,
    sitePort: settings.CONVEX_SITE_PORT,
    cloudOrigin: settings.CONVEX_CLOUD_ORIGIN,
    siteOrigin: settings.CONVEX_SITE_ORIGIN,
    synchronous: settings.CONVEX_SYNCHRONOUS,
    writeBytesPerSecondMax: settings.CONVEX_WRITE_BYTES_PER_SECOND_MAX,
    retryPercent: settings.CONVEX_RETRY_PERCENT,
    redact: settings.REDACT_LOGS_TO_CLIENT,
    instanceName: settings.INSTANCE_NAME,
    instanceSecret: settings.INSTANCE_SECRET,
    adminKey: settings.CONVEX_ADMIN_KEY,
  };
}
