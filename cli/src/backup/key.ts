/** How a backup's key is made from a passphrase or a key file, and what its first line says about that. */
import { createHmac, hkdfSync, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { Trouble } from "../trouble.ts";

export type KeySource = { kind: "passphrase" | "key-file"; secret: Buffer };

/** 128 MiB of memory and some 0.4 s for each guess (RFC 7914). */
const SCRYPT = { logN: 17, r: 8, p: 1 };
const SCRYPT_MEMORY_BYTES_MAX = 1024 ** 3;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const CHECK_BYTES = 16;
export const passphraseCharsMin = 12;
export const keyFileBytesMin = 32;

const Base64 = z.string().regex(/^[A-Za-z0-9+/]+=*$/);

export const Header = z.object({
  format: z.literal("tyto-backup-1"),
  from: z.enum(["passphrase", "key-file"]),
  salt: Base64,
  /** Cost of scrypt; for a key file, which has enough entropy, HKDF (RFC 5869) is enough. */
  scrypt: z
    .object({
      logN: z.number().int().min(10).max(20),
      r: z.number().int().min(1).max(16),
      p: z.number().int().min(1).max(4),
    })
    .optional(),
  /** Tells a wrong key from a damaged file. */
  check: Base64,
});
export type Header = z.infer<typeof Header>;

/** The key of a new backup, and the header that lets it be made again. */
export async function newKey(source: KeySource): Promise<{ key: Buffer; header: Header }> {
  const salt = randomBytes(SALT_BYTES).toString("base64");
  const cost = source.kind === "passphrase" ? { scrypt: SCRYPT } : {};
  const key = await derive(source, salt, cost.scrypt);
  const header: Header = { format: "tyto-backup-1", from: source.kind, salt, ...cost, check: checkOf(key) };
  return { key, header };
}

/** The key of a backup that is there. Throws Trouble when the passphrase or key file is not its own. */
export async function knownKey(source: KeySource, header: Header): Promise<Buffer> {
  if (source.kind !== header.from)
    throw new Trouble(
      `this backup was sealed with a ${words[header.from]}`,
      header.from === "key-file" ? "give it with --key-file FILE" : "leave out --key-file",
    );
  const key = await derive(source, header.salt, header.scrypt);
  const expected = Buffer.from(header.check, "base64");
  const found = Buffer.from(checkOf(key), "base64");
  if (expected.byteLength !== found.byteLength || !timingSafeEqual(expected, found))
    throw new Trouble(`this is not the ${words[header.from]} that the backup was sealed with`);
  return key;
}

const words = { passphrase: "passphrase", "key-file": "key file" } as const;

function derive({ secret }: KeySource, salt: string, cost: Header["scrypt"]): Promise<Buffer> {
  const saltBytes = Buffer.from(salt, "base64");
  if (cost === undefined) {
    return Promise.resolve(Buffer.from(hkdfSync("sha256", secret, saltBytes, "tyto backup", KEY_BYTES)));
  }
  const options = { N: 2 ** cost.logN, r: cost.r, p: cost.p, maxmem: SCRYPT_MEMORY_BYTES_MAX };
  return new Promise((resolve, reject) =>
    scrypt(secret, saltBytes, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key))),
  );
}

const checkOf = (key: Buffer) =>
  createHmac("sha256", key).update("check").digest().subarray(0, CHECK_BYTES).toString("base64");
