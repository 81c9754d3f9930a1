import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPair,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { promisify } from "node:util";
import type { Domain, DomainRecord, Payload } from "@tyto/contracts";
import type { SigningKey } from "./dkim.ts";

/** Seals private keys of a domain and opens them again. */
export type Vault = {
  seal(privateKey: KeyObject, domain: Domain, selector: string): string;
  /** Throws when the text was sealed with another secret, for another domain or selector, or was changed. */
  open(sealed: string, domain: Domain, selector: string): KeyObject;
};

const version = "v1";
const nonceBytes = 12;
const tagBytes = 16;

/**
 * AES-256-GCM under a key derived from MTA_SECRET by HKDF-SHA-256. The domain and the selector are authenticated with
 * the key, so that a sealed key moved to another domain's record does not open.
 */
export function createVault(secret: string): Vault {
  const key = Buffer.from(hkdfSync("sha256", secret, "", "tyto dkim private keys 1", 32));
  const context = (domain: Domain, selector: string) => Buffer.from(`${domain}\n${selector}`);
  return {
    seal(privateKey, domain, selector) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(context(domain, selector));
      const plain = privateKey.export({ type: "pkcs8", format: "der" });
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `${version}.${sealed.toString("base64")}`;
    },
    open(sealed, domain, selector) {
      const [found, text = ""] = sealed.split(".");
      const bytes = Buffer.from(text, "base64");
      if (found !== version || bytes.length <= nonceBytes + tagBytes)
        throw new Error(`the sealed key ${selector} of ${domain} has an unknown form`);
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes))
        .setAAD(context(domain, selector))
        .setAuthTag(bytes.subarray(-tagBytes));
      const plain = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      return createPrivateKey({ key: plain, type: "pkcs8", format: "der" });
    },
  };
}

/** RFC 8301 §3.2: at least 1024 bits, better 2048; longer keys do not fit one UDP answer. */
const rsaBits = 2_048;

const generate = promisify(generateKeyPair);

/**
 * New keys of a domain: RSA, which every receiver verifies, and Ed25519 (RFC 8463) beside it. `number` counts the domain's
 * sets of keys, so that each has selectors of its own and the old ones can stay published.
 */
export async function makeKeys(
  domain: Domain,
  vault: Vault,
  number = 1,
): Promise<Payload<"domain.keyed">["keys"]> {
  const [rsaSelector, ed25519Selector] = [`tyto${number}r`, `tyto${number}e`];
  const [rsa, ed25519] = await Promise.all([
    generate("rsa", { modulusLength: rsaBits }),
    generate("ed25519", {}),
  ]);
  return [
    {
      selector: rsaSelector,
      algorithm: "rsa-sha256",
      publicKey: rsa.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
      sealedPrivateKey: vault.seal(rsa.privateKey, domain, rsaSelector),
    },
    {
      selector: ed25519Selector,
      algorithm: "ed25519-sha256",
      // RFC 8463 §4: the bare 32 octets, which stand at the end of the SubjectPublicKeyInfo.
      publicKey: ed25519.publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64"),
      sealedPrivateKey: vault.seal(ed25519.privateKey, domain, ed25519Selector),
    },
  ];
}

/** The keys of a domain's record, opened. Empty while the domain has none. */
export function openKeys(record: DomainRecord, vault: Vault): SigningKey[] {
  return record.keys.map(({ selector, algorithm, sealedPrivateKey }) => ({
    domain: record.domain,
    selector,
    algorithm,
    key: vault.open(sealedPrivateKey, record.domain, selector),
  }));
}
