/** API keys: `tyto_` and 43 base62 characters (256 random bits). Only their SHA-256 is stored anywhere. */
import { timingSafeEqual } from "node:crypto";
import { type ApiKeyRecord, scopes } from "@tyto/contracts";
import { type Caller, wordOf } from "./caller.ts";
import { sha256 } from "./idempotency.ts";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const secretChars = 43;
/** What the dashboard may show of a key, enough to tell two keys apart. */
const prefixChars = 10;

export type NewKey = { key: string; hash: string; prefix: string; apiKeyId: string };

export function newApiKey(): NewKey {
  let text = "";
  while (text.length < secretChars) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 248 = 4 × 62: bytes beyond it would make the first characters likelier.
    if (byte !== undefined && byte < 248) text += alphabet.charAt(byte % 62);
  }
  const key = `tyto_${text}`;
  return {
    key,
    hash: sha256(key),
    prefix: key.slice(0, prefixChars),
    apiKeyId: `key_${crypto.randomUUID()}`,
  };
}

/**
 * Who a key stands for; `undefined` for a key that is not known. The root key of the installation is compared in
 * constant time; the others are found by their hash, which tells nothing about a key that is nearly right.
 */
export async function callerOf(
  key: string,
  rootKey: string,
  find: (hash: string) => Promise<ApiKeyRecord | undefined>,
): Promise<Caller | undefined> {
  const hash = sha256(key);
  if (timingSafeEqual(Buffer.from(hash), Buffer.from(sha256(rootKey))))
    return { kind: "key", id: "root", name: "root", scopes: [...scopes] };
  const record = await find(hash);
  if (record === undefined) return undefined;
  const { apiKeyId: id, name, scopes: allowed } = record;
  return { kind: "key", id, name: `key:${wordOf(name) || id}`, scopes: allowed };
}
