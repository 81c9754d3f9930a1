import { busSettings, loadConfig, processSettings } from "@tyto/service";
import type { JWK } from "jose";
import { z } from "zod";

const PrivateJwk = z.looseObject({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});

/** A private ES256 JWK as base64url of its JSON. */
const jwkSetting = z.string().transform((text, context): JWK => {
  try {
    return PrivateJwk.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
  } catch (error) {
    const message = `must be the base64url of a private ES256 JWK (${error instanceof Error ? error.name : "unreadable"})`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }
});

const shape = {
  ...busSettings,
  ...processSettings(3105),
  CONVEX_URL: z.url().default("http://127.0.0.1:3210"),
  CONVEX_SITE_URL: z.url().default("http://127.0.0.1:3211"),
  MTA_WEBHOOK_SECRET: z.string().regex(/^whsec_[A-Za-z0-9+/]{24,}={0,2}$/, "must be whsec_ and base64"),
  RECORDER_JWT_KEY: jwkSetting,
};

export type Config = ReturnType<typeof readConfig>;

/** The settings of the recorder from the environment. Throws ConfigError that names every wrong one. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const given = loadConfig("recorder", shape, env);
  return {
    nats: { url: given.NATS_URL, user: given.NATS_USER, password: given.NATS_PASSWORD },
    health: { host: given.HEALTH_HOST, port: given.HEALTH_PORT },
    logLevel: given.LOG_LEVEL,
    convexUrl: given.CONVEX_URL,
    convexSiteUrl: given.CONVEX_SITE_URL.replace(/\/+$/, ""),
    webhookSecret: given.MTA_WEBHOOK_SECRET,
    jwtKey: given.RECORDER_JWT_KEY,
  };
}
