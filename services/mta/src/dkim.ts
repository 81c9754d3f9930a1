import { hash, type KeyObject, sign } from "node:crypto";
import type { Domain } from "@tyto/contracts";
import { bodyStart, type Field, headerFields, relaxedBody, relaxedField } from "./canonical.ts";

/** A private key in use. The public half stands at `<selector>._domainkey.<domain>`. */
export type SigningKey = {
  domain: Domain;
  selector: string;
  algorithm: "rsa-sha256" | "ed25519-sha256";
  key: KeyObject;
};

/**
 * Fields that are signed where present. Each is also listed once more than it occurs (RFC 6376 §8.15), so that a
 * second From or Subject put in front breaks the signature instead of being shown to the reader.
 */
const oversigned = [
  "from",
  "sender",
  "reply-to",
  "subject",
  "date",
  "message-id",
  "to",
  "cc",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "in-reply-to",
  "references",
  // RFC 8058 §4 asks for both of these to be covered.
  "list-unsubscribe",
  "list-unsubscribe-post",
];
/** Signed as often as they occur: mailing lists and receivers may add their own without harm. */
const signedOnce = [
  "list-id",
  "list-help",
  "feedback-id",
  "auto-submitted",
  // RFC 9477 §3.1.4 asks for both of these to be covered.
  "cfbl-address",
  "cfbl-feedback-id",
];

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
  const { names, canonical } = selectFields([...headerFields(personal), ...headerFields(header)], rewritten);
  const fields = await Promise.all(
    keys.map(async (key) => {
      const unsigned =
        `DKIM-Signature: v=1; a=${key.algorithm}; c=relaxed/relaxed;\r\n` +
        ` d=${key.domain}; s=${key.selector}; t=${nowS};\r\n bh=${bodyHash};\r\n h=${fold(names)};\r\n b=`;
      const data = `${canonical}${relaxedField({ name: "dkim-signature", text: unsigned })}`;
      const signature = (await signData(data, key)).toString("base64");
      return `${unsigned}${signature.replace(/.{72}(?=.)/g, "$&\r\n ")}\r\n`;
    }),
  );
  return Buffer.from(fields.join(""), "latin1");
}

/** For `bh=`: the hash of the relaxed body, in base64. */
export const bodyHashOf = (message: Buffer): string =>
  hash("sha256", relaxedBody(message.subarray(bodyStart(message))), "base64");

/** The names for `h=` and the canonical fields in that order; of equal names the lowest comes first (RFC 6376 §5.4.2). */
function selectFields(
  fields: readonly Field[],
  rewritten: readonly string[],
): { names: string[]; canonical: string } {
  const names: string[] = [];
  let canonical = "";
  const byName = new Map<string, Field[]>();
  for (const field of fields) {
    const others = byName.get(field.name);
    if (others === undefined) byName.set(field.name, [field]);
    else others.unshift(field);
  }
  const take = (name: string, once: boolean) => {
    if (rewritten.includes(name)) return;
    for (const field of byName.get(name) ?? []) {
      names.push(name);
      canonical += `${relaxedField(field)}\r\n`;
    }
    if (once) names.push(name);
  };
  for (const name of oversigned) take(name, true);
  for (const name of signedOnce) take(name, false);
  return { names, canonical };
}

const lineCharsMax = 72;

/** Names joined by colons, broken into lines that every mail system passes unchanged. */
function fold(names: readonly string[]): string {
  let text = "";
  let column = 3;
  for (const [index, name] of names.entries()) {
    const piece = index === 0 ? name : `:${name}`;
    if (column + piece.length > lineCharsMax) {
      text += ":\r\n  ";
      text += name;
      column = 2 + name.length;
    } else {
      text += piece;
      column += piece.length;
    }
  }
  return text;
}

function signData(text: string, { algorithm, key }: SigningKey): Buffer | Promise<Buffer> {
  const data = Buffer.from(text, "latin1");
  // Ed25519 signs the SHA-256 hash of the data, not the data (RFC 8463 §3).
  if (algorithm === "ed25519-sha256") return sign(undefined, hash("sha256", data, "buffer"), key);
  return new Promise((resolve, reject) =>
    sign("sha256", data, key, (error, signature) => (error === null ? resolve(signature) : reject(error))),
  );
}
