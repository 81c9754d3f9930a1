import { expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureSecrets, parseEnvFile, publicJwks, readSecrets, secretNames } from "./secrets.ts";

const folder = () => mkdtemp(join(tmpdir(), "tyto-secrets-"));

test("secrets are made once, only their owner can read them, and a second start changes nothing", async () => {
  const path = join(await folder(), "data/secrets.env");
  const first = await ensureSecrets(path);
  expect(first.made).toEqual(secretNames);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const text = await readFile(path, "utf8");

  const second = await ensureSecrets(path);
  expect(second.made).toEqual([]);
  expect(second.secrets).toEqual(first.secrets);
  expect(await readFile(path, "utf8")).toBe(text);
  expect(await readdir(join(path, ".."))).toEqual(["secrets.env"]);
});

test("a secret that is missing is added, and those that are there stay, comments included", async () => {
  const path = join(await folder(), "secrets.env");
  await writeFile(path, "# mine\nMTA_API_KEY=tyto_chosen_by_hand_0123456789\n", { mode: 0o644 });
  const { secrets, made } = await ensureSecrets(path);
  expect(secrets.MTA_API_KEY).toBe("tyto_chosen_by_hand_0123456789");
  expect(made).not.toContain("MTA_API_KEY");
  expect(await readFile(path, "utf8")).toStartWith("# mine\nMTA_API_KEY=");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("a file that others may read is closed to them", async () => {
  const path = join(await folder(), "secrets.env");
  await ensureSecrets(path);
  await chmod(path, 0o644);
  await ensureSecrets(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("secrets have the forms that their readers expect", async () => {
  const { secrets } = await ensureSecrets(join(await folder(), "secrets.env"));
  expect(secrets.MTA_WEBHOOK_SECRET).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(secrets.CONVEX_ADMIN_KEY).toMatch(/^tyto\|[0-9a-f]{64}$/);
  expect(secrets.MTA_API_KEY).toMatch(/^tyto_[A-Za-z0-9]{40}$/);
  expect(secrets.NATS_MTA_PASSWORD).toMatch(/^[A-Za-z][A-Za-z0-9]{31}$/);
  expect(new Set(Object.values(secrets)).size).toBe(secretNames.length);
});

test("the public key set checks what the private key signed, and holds no private part", async () => {
  const { secrets } = await ensureSecrets(join(await folder(), "secrets.env"));
  const jwks = (await (await fetch(publicJwks(secrets.GATEWAY_JWT_KEY))).json()) as {
    keys: (JsonWebKey & { kid: string })[];
  };
  const [publicKey] = jwks.keys;
  if (!publicKey) throw new Error("the key set is empty");
  expect(publicKey.kid).toBe("gateway");
  expect(publicKey).not.toHaveProperty("d");

  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const privateKey = JSON.parse(Buffer.from(secrets.GATEWAY_JWT_KEY, "base64url").toString()) as JsonWebKey;
  const signing = await crypto.subtle.importKey("jwk", privateKey, curve, false, ["sign"]);
  const checking = await crypto.subtle.importKey("jwk", publicKey, curve, false, ["verify"]);
  const words = new TextEncoder().encode("token");
  const how = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(how, signing, words);
  expect(await crypto.subtle.verify(how, checking, signature, words)).toBe(true);
});

test("reading the secrets of an installation that never started says how to start it", async () => {
  await expect(readSecrets(join(await folder(), "secrets.env"))).rejects.toThrow("there are no secrets");
});

test("values keep their equals signs", () => {
  expect(parseEnvFile("# note\nA=b==\n\nB = no\nC=\n")).toEqual({ A: "b==", C: "" });
});
