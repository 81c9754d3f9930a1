import { createHmac } from "node:crypto";

/**
 * The headers of a Standard Webhooks signature (standardwebhooks.com, version 1): HMAC-SHA256 over
 * `<id>.<timestamp>.<body>`. Over bytes, because raw mail need not be UTF-8.
 */
export function signatureHeaders(
  key: Uint8Array,
  id: string,
  nowMs: number,
  body: Uint8Array,
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
