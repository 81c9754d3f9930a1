import { expect, test } from "bun:test";
import { ConfigError } from "@tyto/service";
import { exportJWK, generateKeyPair } from "jose";
import { readConfig } from "./config.ts";

const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
const encoded = async (key: CryptoKey) =>
  Buffer.from(JSON.stringify(await exportJWK(key))).toString("base64url");
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

test("the secret is decoded and the key parsed", async () => {
  const config = readConfig({ MTA_WEBHOOK_SECRET: secret, RECORDER_JWT_KEY: await encoded(privateKey) });
  expect(config.webhookKey).toEqual(Buffer.alloc(32, 7));
  expect(config.jwtKey.d).toBe((await exportJWK(privateKey)).d ?? "");
  expect([config.convexUrl, config.siteUrl]).toEqual(["http://127.0.0.1:3210", "http://127.0.0.1:3211"]);
});

const wrong: [string, string, string][] = [
  ["a secret without its prefix", "MTA_WEBHOOK_SECRET", secret.slice(6)],
  ["a short secret", "MTA_WEBHOOK_SECRET", "whsec_AAAA"],
  ["a secret that is not base64", "MTA_WEBHOOK_SECRET", `whsec_${"*".repeat(44)}`],
  ["a public key", "RECORDER_JWT_KEY", await encoded(publicKey)],
  ["a key that is not JSON", "RECORDER_JWT_KEY", "bm90IGpzb24"],
  ["a site address that is none", "CONVEX_SITE_URL", "convex:"],
];
for (const [name, variable, value] of wrong)
  test(`${name} is refused by name, and its value is not shown`, async () => {
    const env = {
      MTA_WEBHOOK_SECRET: secret,
      RECORDER_JWT_KEY: await encoded(privateKey),
      [variable]: value,
    };
    try {
      readConfig(env);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      const { problems } = error as ConfigError;
      expect(problems.map((problem) => problem.split(" ")[0])).toEqual([variable]);
      if (variable !== "CONVEX_SITE_URL") expect(problems.join()).not.toContain(value);
    }
  });
