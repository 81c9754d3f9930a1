import { api } from "@tyto/convex/api";
import { ConvexHttpClient } from "convex/browser";
import { importJWK, SignJWT } from "jose";
import type { Installation } from "./installation.ts";

/** A token lives for ten minutes. */
const clientMsMax = 300_000;

/** What the installation's Convex holds; asked as the gateway asks, with a token that its key signs. */
export function openStore(url: string, key: string): Pick<Installation, "countMessages" | "stateOf"> {
  let kept: { client: Promise<ConvexHttpClient>; sinceMs: number } | undefined;
  const connected = (): Promise<ConvexHttpClient> => {
    if (kept === undefined || Date.now() - kept.sinceMs > clientMsMax)
      kept = { client: serviceClient(url, key), sinceMs: Date.now() };
    return kept.client;
  };
  return {
    async countMessages(status, countMax = 100_000) {
      const client = await connected();
      let total = 0;
      for (let cursor: string | null = null; total < countMax; ) {
        const answer: { page: unknown[]; cursor: string | null } = await client.query(
          api.service.listMessages,
          { status, cursor, limit: Math.min(500, countMax) },
        );
        total += answer.page.length;
        cursor = answer.cursor;
        if (cursor === null) break;
      }
      return total;
    },
    async stateOf(messageId) {
      const found = await (await connected()).query(api.service.getMessage, { messageId });
      return found?.message.status;
    },
  };
}

async function serviceClient(url: string, key: string): Promise<ConvexHttpClient> {
  const jwk = JSON.parse(Buffer.from(key, "base64url").toString());
  const token = await new SignJWT({ role: "service" })
    .setProtectedHeader({ alg: "ES256", kid: "gateway", typ: "JWT" })
    .setIssuer("https://gateway.tyto.internal")
    .setAudience("convex")
    .setSubject("gateway")
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(await importJWK(jwk, "ES256"));
  const client = new ConvexHttpClient(url, { logger: false });
  client.setAuth(token);
  return client;
}
