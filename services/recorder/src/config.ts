import {
  busSettings,
  loadConfig,
  processSettings,
  signingKey,
  tracingOf,
  tracingSettings,
} from "@tyto/service";
import { z } from "zod";

/** `whsec_` and base64, as Standard Webhooks writes secrets; at least 16 bytes. */
const webhookSecret = z
  .string()
  .regex(
    /^whsec_(?:[A-Za-z0-9+/]{4}){5,}[A-Za-z0-9+/]{0,4}={0,2}$/,
    "must be whsec_ and at least 16 bytes in base64",
  )
  .transform((text) => Buffer.from(text.slice("whsec_".length), "base64"));

const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http(s) address" });

const shape = {
  ...busSettings,
  ...tracingSettings,
  ...processSettings(3105),
  CONVEX_URL: httpUrl.default("http://127.0.0.1:3210"),
  CONVEX_SITE_URL: httpUrl.default("http://127.0.0.1:3211"),
  MTA_WEBHOOK_SECRET: webhookSecret,
  RECORDER_JWT_KEY: signingKey(),
};

export type Config = ReturnType<typeof readConfig>;

/** The settings of the recorder from the environment. Throws ConfigError that names every wrong one. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const given = loadConfig("recorder", shape, env);
  return {
    nats: { url: given.NATS_URL, user: given.NATS_USER, password: given.NATS_PASSWORD },
    health: { host: given.HEALTH_HOST, port: given.HEALTH_PORT },
    logLevel: given.LOG_LEVEL,
    tracing: tracingOf(given),
    convexUrl: given.CONVEX_URL,
    siteUrl: given.CONVEX_SITE_URL,
    webhookKey: given.MTA_WEBHOOK_SECRET,
    jwtKey: given.RECORDER_JWT_KEY,
  };
}
