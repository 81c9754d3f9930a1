/**
 * Standard Webhooks signatures (standardwebhooks.com, version 1): HMAC-SHA256 over `<id>.<timestamp>.<body>` with the
 * secret `whsec_<base64>`. Over bytes, because raw mail need not be UTF-8, and with Web Crypto alone, which is what
 * the Convex isolate has.
 */

/** How far the sender's clock may be off, and how old a request may be. */
const toleranceS = 300;
const signaturesMax = 8;

/** Why a request is refused; undefined when it is signed as it should be. */
export async function signatureProblem(
  secret: string | undefined,
  headers: Pick<Headers, "get">,
  body: Uint8Array,
  nowMs: number,
): Promise<string | undefined> {
  const key = secret === undefined ? undefined : decodeSecret(secret);
  if (key === undefined) return "MTA_WEBHOOK_SECRET is not set to whsec_<base64>";
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature");
  if (!id || !timestamp || !signatures)
    return "webhook-id, webhook-timestamp or webhook-signature is missing";
  if (!/^\d{1,12}$/.test(timestamp)) return "webhook-timestamp is not in seconds";
  if (Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceS)
    return `webhook-timestamp is more than ${toleranceS} s away from this clock`;

  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
  // More than one stands there while a secret is being replaced.
  for (const entry of signatures.split(" ").slice(0, signaturesMax)) {
    const [version, text] = entry.split(",");
    const signature = version === "v1" ? decodeBase64(text ?? "") : undefined;
    if (signature !== undefined && (await crypto.subtle.verify("HMAC", hmac, signature, signed)))
      return undefined;
  }
  return "webhook-signature does not match";
}

const decodeSecret = (secret: string) => {
  const key = decodeBase64(secret.replace(/^whsec_/, ""));
  return key === undefined || key.length === 0 ? undefined : key;
};

/** With or without its padding, since atob throws at anything else. */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!base64.test(text)) return undefined;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
