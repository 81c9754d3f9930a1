/** One-shot of compose.yaml: streams and consumers on NATS, then the functions on Convex. Settings by environment. */
import { readFile } from "node:fs/promises";
import { loadConfig, secret } from "@tyto/service";
import { z } from "zod";
import { deployFunctions } from "../installation/deployment.ts";
import { provisionBus } from "../installation/provision.ts";
import { environment, root } from "../places.ts";

const settings = loadConfig(
  "deploy",
  {
    NATS_URL: z.string(),
    NATS_ADMIN_PASSWORD: secret(),
    /** On how many nodes of a cluster each stream stands. */
    NATS_REPLICAS: z
      .enum(["1", "3", "5"])
      .default("1")
      .transform((text) => Number(text) as 1 | 3 | 5),
    CONVEX_URL: z.url(),
    /** File that holds the admin key. */
    CONVEX_ADMIN_KEY_FILE: z.string(),
    MTA_WEBHOOK_SECRET: secret(),
    GATEWAY_JWKS: z.string(),
    RECORDER_JWKS: z.string(),
    SITE_URL: z.url(),
  },
  environment(),
);

await provisionBus({
  url: settings.NATS_URL,
  password: settings.NATS_ADMIN_PASSWORD,
  replicas: settings.NATS_REPLICAS,
});
console.log("streams and consumers are in place");

const adminKey = (await readFile(settings.CONVEX_ADMIN_KEY_FILE, "utf8")).trim();
await deployFunctions(
  {
    root,
    url: settings.CONVEX_URL,
    adminKey,
    env: { PATH: environment().PATH, HOME: "/tmp", CONVEX_TMPDIR: "/tmp" },
    signal: new AbortController().signal,
  },
  {
    MTA_WEBHOOK_SECRET: settings.MTA_WEBHOOK_SECRET,
    GATEWAY_JWKS: settings.GATEWAY_JWKS,
    RECORDER_JWKS: settings.RECORDER_JWKS,
    SITE_URL: settings.SITE_URL,
  },
);
console.log("functions are deployed");
