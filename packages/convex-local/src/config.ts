import { z } from "zod";
import { RefusalList } from "./watchdog/refusals.ts";

const Port = z.coerce.number().int().min(0).max(65535);
const Flag = z.enum(["true", "false"]).transform((value) => value === "true");

const MIB = 1024 * 1024;
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
  CONVEX_FUNCTION_MS_MAX: z.coerce.number().int().min(10).default(5000),
  CONVEX_CALL_MEMORY_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(64 * MIB)
    .default(768 * MIB),
  CONVEX_MEMORY_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(256 * MIB)
    .default(1792 * MIB),
  CONVEX_CONNECTIONS_MAX: z.coerce.number().int().min(16).max(16_384).default(4096),
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
    functionMsMax: settings.CONVEX_FUNCTION_MS_MAX,
    callMemoryBytesMax: settings.CONVEX_CALL_MEMORY_BYTES_MAX,
    memoryBytesMax: settings.CONVEX_MEMORY_BYTES_MAX,
    connectionsMax: settings.CONVEX_CONNECTIONS_MAX,
    redact: settings.REDACT_LOGS_TO_CLIENT,
    instanceName: settings.INSTANCE_NAME,
    instanceSecret: settings.INSTANCE_SECRET,
    adminKey: settings.CONVEX_ADMIN_KEY,
  };
}

const FromDoor = z.object({
  apiSocket: z.string(),
  siteSocket: z.string(),
  field: z.string(),
  boardFile: z.string(),
  refusals: RefusalList,
});
/** What the process with the public ports tells the one that runs functions. */
export type FromDoor = z.infer<typeof FromDoor>;

/**
 * When JavaScriptCore's third compiler (FTL) begins with a function; 64,000 otherwise. A mutation's path is wide and flat: that
 * compiler took a sixth of the engine's CPU time and made nothing faster. Whoever sets it in the environment is heard.
 */
const COMPILER = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "500000" };

/** The environment of the engine: that of its parent, and where they meet. */
export const engineEnvironment = (
  fromDoor: FromDoor,
  origins: { cloudOrigin: string; siteOrigin: string },
  env: Record<string, string | undefined> = process.env,
): Record<string, string | undefined> => ({
  ...COMPILER,
  ...env,
  CONVEX_CLOUD_ORIGIN: origins.cloudOrigin,
  CONVEX_SITE_ORIGIN: origins.siteOrigin,
  CONVEX_BEHIND_DOOR: JSON.stringify(fromDoor),
});

export const loadFromDoor = (env: Record<string, string | undefined> = process.env): FromDoor =>
  FromDoor.parse(JSON.parse(env.CONVEX_BEHIND_DOOR ?? "null"));
