import { hash, type KeyObject, sign } from "node:crypto";
import type { Domain } from "@tyto/contracts";
import { bodyStart, headerFields, relaxedBody, relaxedField } from "./canonical.ts";
import { signedFields } from "./signed-fields.ts";

/** A private key in use. The public half stands at `<selector>._domainkey.<domain>`. */
export type SigningKey = {
  domain: Domain;
  selector: string;
  algorithm: "rsa-sha256" | "ed25519-sha256";
  key: KeyObject;
};

/**
 * One DKIM-Signature field per key, ready to stand in front of the message (RFC 6376, RFC 8463), relaxed/relaxed.
 * `message` has CRLF line ends. The body is hashed once for all keys, or not at all where the caller has its hash. `personal`
 * are fields that stand between signature and message; fields named in `rewritten`, in lower case, will not arrive as they are
 * and stay unsigned. RSA runs on the thread pool, because a signature takes half a
 * millisecond of a core; Ed25519 takes less than the way there and back.
 */
export async function signatures(
  message: Buffer,
  keys: readonly SigningKey[],
  nowS: number,
  personal: Buffer = Buffer.alloc(0),
  bodyHash = bodyHashOf(message),
  rewritten: readonly string[] = [],
): Promise<Buffer> {
  const header = message.subarray(0, bodyStart(message));
  const fields = headerFields(header);
  if (personal.length > 0) fields.unshift(...headerFields(personal));
  const { places, folded, relaxed } = signedFields(
    fields.map(({ name }) => name),
    rewritten,
  );
  let canonical = "";
  for (const place of places) {
    const field = fields[place];
    if (field !== undefined) canonical += `${relaxedField(field)}\r\n`;
  }
  const signed = await Promise.all(
    keys.map(async (key) => {
      const how = `v=1; a=${key.algorithm}; c=relaxed/relaxed;`;
      const who = `d=${key.domain}; s=${key.selector}; t=${nowS};`;
      const what = `bh=${bodyHash};`;
      // The relaxed form of the field below as far as `b=`.
      const own = `dkim-signature:${how} ${who} ${what} h=${relaxed}; b=`;
      const signature = (await signData(canonical + own, key)).toString("base64");
      const value = signature.replace(/.{72}(?=.)/g, "$&\r\n ");
      return `DKIM-Signature: ${how}\r\n ${who}\r\n ${what}\r\n h=${folded};\r\n b=${value}\r\n`;
    }),
  );
  return Buffer.from(signed.join(""), "latin1");
}

/** For `bh=`: the hash of the relaxed body, in base64. */
export const bodyHashOf = (message: Buffer): string =>
  hash("sha256", relaxedBody(message.subarray(bodyStart(message))), "base64");

function signData(text: string, { algorithm, key }: SigningKey): Buffer | Promise<Buffer> {
  const data = Buffer.from(text, "latin1");
  // Ed25519 signs the SHA-256 hash of the data, not the data (RFC 8463 §3).
  if (algorithm === "ed25519-sha256") return sign(undefined, hash("sha256", data, "buffer"), key);
  return new Promise((resolve, reject) =>
    sign("sha256", data, key, (error, signature) => (error === null ? resolve(signature) : reject(error))),
  );
}
