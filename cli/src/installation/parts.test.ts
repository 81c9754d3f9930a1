import { expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "../places.ts";
import { convexPart, natsPart, servicePart, serviceSecrets } from "./parts.ts";
import { type Secrets, secretNames } from "./secrets.ts";
import { loadSettings } from "./settings.ts";

const secrets = Object.fromEntries(secretNames.map((name) => [name, `the ${name}`])) as Secrets;
const installation = {
  places: { root, dataDir: "/data", cacheDir: "/cache" },
  settings: loadSettings({}),
  secrets,
  env: {
    HOME: "/home/ann",
    AWS_SECRET_ACCESS_KEY: "not ours",
    TYTO_ROUTES: "*=127.0.0.1:2526",
    LLM_API_KEY: "sk",
  },
  path: "/bin",
};
const services = ["gateway", "scanner", "mta", "bounce", "recorder", "llm"] as const;

test("every process gets its own secrets and nobody else's", () => {
  const held = (env: Record<string, string | undefined>) =>
    secretNames.filter((name) => Object.values(env).includes(secrets[name]));
  expect(
    Object.fromEntries(services.map((name) => [name, held(servicePart(installation, name).env)])),
  ).toEqual({
    gateway: [
      "MTA_API_KEY",
      "BETTER_AUTH_SECRET",
      "BOUNCE_VERP_KEY",
      "GATEWAY_JWT_KEY",
      "NATS_GATEWAY_PASSWORD",
    ],
    scanner: ["NATS_SCANNER_PASSWORD"],
    mta: ["MTA_SECRET", "BOUNCE_VERP_KEY", "NATS_MTA_PASSWORD"],
    bounce: ["BOUNCE_VERP_KEY", "NATS_BOUNCE_PASSWORD"],
    recorder: ["MTA_WEBHOOK_SECRET", "RECORDER_JWT_KEY", "NATS_RECORDER_PASSWORD"],
    llm: ["LLM_TOKEN"],
  });
  expect(held(convexPart(installation).env)).toEqual(["INSTANCE_SECRET", "CONVEX_ADMIN_KEY"]);
  expect(held(natsPart(installation, "nats-server").env).every((name) => name.startsWith("NATS_"))).toBe(
    true,
  );
});

test("what the environment of tyto up holds reaches only those that read it", () => {
  const env = (name: (typeof services)[number]) => servicePart(installation, name).env;
  for (const name of services) expect(env(name)).not.toHaveProperty("AWS_SECRET_ACCESS_KEY");
  expect(env("mta").TYTO_ROUTES).toBe("*=127.0.0.1:2526");
  expect(env("gateway")).not.toHaveProperty("TYTO_ROUTES");
  expect(env("llm").LLM_API_KEY).toBe("sk");
  expect(env("mta")).not.toHaveProperty("LLM_API_KEY");
});

/** The names of the settings in each service's config.ts. */
async function settingsRead(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of services) {
    const text = await Bun.file(join(root, `services/${name}/src/config.ts`)).text();
    found.set(
      name,
      [...text.matchAll(/^\s+([A-Z][A-Z0-9_]{2,}):/gm)].map((match) => match[1] ?? ""),
    );
  }
  return found;
}

test("every setting in a service's config.ts can be given to tyto up, or is given by it", async () => {
  for (const [name, settings] of await settingsRead()) {
    const given = Object.fromEntries(settings.map((setting) => [setting, "given"]));
    const { env } = servicePart({ ...installation, env: given }, name as (typeof services)[number]);
    expect({ name, lacks: settings.filter((setting) => env[setting] === undefined) }).toEqual({
      name,
      lacks: [],
    });
  }
});

test("every setting in a service's config.ts can be given to compose.yaml, or is given by it", async () => {
  type Compose = { services: Record<string, { environment: Record<string, string> }> };
  const compose = Bun.YAML.parse(await Bun.file(join(root, "compose.yaml")).text()) as Compose;
  // The edge serves the pages in containers, and each container of a scaled mta is known by its own host name.
  const elsewhere = new Set(["WEB_ROOT", "WEB_PORT", "MTA_NAME"]);
  for (const [name, settings] of await settingsRead()) {
    const env = { ...compose.services[name]?.environment, ...serviceSecrets(name as "llm", secrets) };
    const defaults = name === "gateway" ? ["GATEWAY_PORT"] : name === "llm" ? ["LLM_PORT"] : [];
    const lacks = settings.filter(
      (setting) => !(setting in env) && !elsewhere.has(setting) && !defaults.includes(setting),
    );
    expect({ name, lacks }).toEqual({ name, lacks: [] });
  }
});

test("a secret is not taken from the environment of tyto up", () => {
  const env = servicePart(
    { ...installation, env: { MTA_API_KEY: "theirs", MTA_SECRET: "theirs" } },
    "mta",
  ).env;
  expect(env.MTA_SECRET).toBe(secrets.MTA_SECRET);
  expect(env).not.toHaveProperty("MTA_API_KEY");
});

test("one variable moves all ports, and one port can be given by itself", () => {
  const { ports, siteUrl } = loadSettings({ TYTO_PORT_OFFSET: "1000", NATS_PORT: "14222" });
  expect(ports).toMatchObject({ WEB_PORT: 4000, GATEWAY_PORT: 4100, BOUNCE_PORT: 3525, NATS_PORT: 14_222 });
  expect(siteUrl).toBe("http://localhost:4000");
});

test("a wrong port is named", () => {
  expect(() => loadSettings({ WEB_PORT: "eighty" })).toThrow("WEB_PORT");
});
