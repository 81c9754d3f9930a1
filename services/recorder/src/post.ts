/**
 * Requests to Convex's HTTP actions, signed in the Standard Webhooks format (standardwebhooks.com, version 1): HMAC-SHA256
 * over `<id>.<timestamp>.<body>`. The package of that name signs text only, and raw mail is bytes.
 */
import { createHmac } from "node:crypto";

export type Answer =
  | { kind: "taken" }
  /** Convex says that the content is wrong; sending it again cannot help. */
  | { kind: "malformed"; why: string }
  /** Not reachable, not ready, or it does not believe us: the same request may pass later. */
  | { kind: "down"; why: string };

export type Post = (path: string, body: Uint8Array, headers?: Record<string, string>) => Promise<Answer>;

const answerMsMax = 30_000;
const whyCharsMax = 500;

export function createPost(siteUrl: string, secret: string, now: () => number): Post {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return async (path, body, headers = {}) => {
    const id = `msg_${crypto.randomUUID()}`;
    const timestamp = String(Math.floor(now() / 1_000));
    const signature = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
    const answer = await fetch(`${siteUrl}${path}`, {
      method: "POST",
      headers: {
        ...headers,
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": `v1,${signature}`,
      },
      body: new Uint8Array(body),
      signal: AbortSignal.timeout(answerMsMax),
    }).catch((error: unknown) => String(error));
    if (typeof answer === "string") return { kind: "down", why: answer };
    const why = `${answer.status} ${(await answer.text().catch(String)).slice(0, whyCharsMax)}`;
    if (answer.ok) return { kind: "taken" };
    // 401 is our secret or our clock, not the content: losing mail's history over that would be wrong.
    return answer.status === 400 || answer.status === 413
      ? { kind: "malformed", why }
      : { kind: "down", why };
  };
}
