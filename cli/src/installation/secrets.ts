/** The installation's secrets: made once, kept in an env file that only its owner may read. */
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { Trouble } from "../trouble.ts";

const hex = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const alphabet = `${letters}0123456789`;

/** A word of letters and digits; 5.95 bits a character. It begins with a letter: NATS reads a leading digit as a number. */
function word(chars: number): string {
  const pick = (from: string): string => {
    const limit = 256 - (256 % from.length);
    for (;;) {
      const byte = crypto.getRandomValues(new Uint8Array(1))[0] ?? 255;
      if (byte < limit) return from.charAt(byte % from.length);
    }
  };
  return pick(letters) + Array.from({ length: chars - 1 }, () => pick(alphabet)).join("");
}

/** A private ES256 key as base64url of its JWK; its `kid` tells Convex who signed. */
async function signingKey(kid: string): Promise<string> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  return Buffer.from(JSON.stringify({ kty, crv, x, y, d, kid, alg: "ES256", use: "sig" })).toString(
    "base64url",
  );
}

/** The instance name of the local Convex; an admin key begins with it. */
export const instanceName = "tyto";

const makers = {
  INSTANCE_SECRET: () => hex(32),
  CONVEX_ADMIN_KEY: () => `${instanceName}|${hex(32)}`,
  MTA_API_KEY: () => `tyto_${word(40)}`,
  // Standard Webhooks: the prefix, then base64 of 24 to 64 bytes.
  MTA_WEBHOOK_SECRET: () => `whsec_${Buffer.from(hex(32), "hex").toString("base64")}`,
  BETTER_AUTH_SECRET: () => word(48),
  MTA_SECRET: () => hex(32),
  BOUNCE_VERP_KEY: () => hex(32),
  GATEWAY_JWT_KEY: () => signingKey("gateway"),
  RECORDER_JWT_KEY: () => signingKey("recorder"),
  LLM_TOKEN: () => word(40),
  NATS_ADMIN_PASSWORD: () => word(32),
  NATS_GATEWAY_PASSWORD: () => word(32),
  NATS_SCANNER_PASSWORD: () => word(32),
  NATS_MTA_PASSWORD: () => word(32),
  NATS_BOUNCE_PASSWORD: () => word(32),
  NATS_RECORDER_PASSWORD: () => word(32),
  NATS_SUBSCRIBER_PASSWORD: () => word(32),
  // Between the nodes of a cluster.
  NATS_CLUSTER_PASSWORD: () => word(32),
} as const satisfies Record<string, () => string | Promise<string>>;

export type SecretName = keyof typeof makers;
export type Secrets = Record<SecretName, string>;
export const secretNames = Object.keys(makers) as SecretName[];

/** `NAME=value` lines; others, such as comments, are ignored. Later lines win. */
export function parseEnvFile(text: string): Record<string, string> {
  const entries = text.split("\n").flatMap((line) => {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    return match ? [[match[1] ?? "", (match[2] ?? "").trim()] as const] : [];
  });
  return Object.fromEntries(entries);
}

/** Reads the secrets of an installation. Throws Trouble when the file is absent or lacks one. */
export async function readSecrets(path: string): Promise<Secrets> {
  const text = await readIfThere(path);
  if (text === undefined)
    throw new Trouble(`there are no secrets at ${path}`, "start Tyto once with ./tyto up, or give --data");
  const found = parseEnvFile(text);
  const missing = secretNames.filter((name) => !found[name]);
  if (missing.length > 0)
    throw new Trouble(`${path} lacks ${missing.join(", ")}`, "./tyto up adds what is missing");
  return found as Secrets;
}

/**
 * Makes what is missing and leaves what is there, so that a second start changes nothing. The file is replaced as a
 * whole and has mode 0600 from its first byte. Resolves with the names that were made.
 */
export async function ensureSecrets(path: string): Promise<{ secrets: Secrets; made: SecretName[] }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = (await readIfThere(path)) ?? "";
  const found = parseEnvFile(text);
  const made = secretNames.filter((name) => !found[name]);
  for (const name of made) found[name] = await makers[name]();
  if (made.length === 0) {
    await chmod(path, 0o600);
    return { secrets: found as Secrets, made };
  }
  const head =
    text === "" ? "# Secrets of this Tyto installation. Keep a copy: mail keys are sealed with them.\n" : "";
  const added = made.map((name) => `${name}=${found[name]}\n`).join("");
  const beside = `${path}.${process.pid}`;
  const file = await open(beside, "wx", 0o600);
  try {
    await file.writeFile(`${head}${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${added}`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  return { secrets: found as Secrets, made };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Trouble(`${path} cannot be read`, String(error));
  }
}

/** The public half of a signing key as a data URI, which is how Convex takes a JWKS without a network. */
export function publicJwks(signingKeyText: string): string {
  const { d: _private, ...publicKey } = JSON.parse(Buffer.from(signingKeyText, "base64url").toString()) as {
    d: string;
  };
  const jwks = Buffer.from(JSON.stringify({ keys: [publicKey] })).toString("base64");
  return `data:text/plain;charset=utf-8;base64,${jwks}`;
}
