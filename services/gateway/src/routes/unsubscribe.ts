/**
 * Where List-Unsubscribe leads. GET shows a page with one button and changes nothing, since mail scanners open every link;
 * POST unsubscribes: the one-click request of RFC 8058 §3.2, which has no cookies and follows no redirects, and the page's
 * button. The token's MAC says whose wish it is, so nothing else is asked.
 */
import { type DeliveryId, defaultOrganization, messageIdOf, type Payload } from "@tyto/contracts";
import { decodeToken } from "@tyto/mail";
import type { Context } from "hono";
import { type Api, boundedForStrangers, type GatewayEnv } from "../api.ts";
import { languageOf, pagePolicy, unsubscribePage } from "../unsubscribe-page.ts";

export type UnsubscribePorts = {
  verpKey: string;
  publish(subject: "mail.unsubscribed", payload: Payload<"mail.unsubscribed">): Promise<void>;
  now(): number;
};

/** RFC 8058 §3.2: one pair of a form, in either encoding of forms. */
const bodyBytesMax = 4_096;
const oneClick = /\bList-Unsubscribe\b\s*(?:=|"[\s;]*\r?\n\r?\n)\s*One-Click\b/i;

/** GET and POST /u/{token} */
export function unsubscribe(api: Api, ports: UnsubscribePorts): void {
  api.get("/u/:token", (c) => {
    const isKnown = deliveryOf(c, ports) !== undefined;
    return page(c, isKnown ? "ask" : "unknown");
  });

  api.post("/u/:token", boundedForStrangers(bodyBytesMax), async (c) => {
    const deliveryId = deliveryOf(c, ports);
    if (deliveryId === undefined) return page(c, "unknown");
    const body = await c.req.text();
    await ports.publish("mail.unsubscribed", {
      // A second click says nothing new.
      id: `${deliveryId}.unsubscribed`,
      at: ports.now(),
      organizationId: defaultOrganization,
      messageId: messageIdOf(deliveryId),
      deliveryId,
      method: oneClick.test(body) ? "one-click" : "link",
    });
    return page(c, "done");
  });
}

const deliveryOf = (c: Context<GatewayEnv>, { verpKey }: UnsubscribePorts): DeliveryId | undefined =>
  decodeToken("unsubscribe", c.req.param("token") ?? "", verpKey);

function page(c: Context<GatewayEnv>, state: "ask" | "done" | "unknown"): Response {
  const language = languageOf(c.req.header("accept-language") ?? "");
  return c.body(unsubscribePage(state, language), state === "unknown" ? 404 : 200, {
    "content-type": "text/html; charset=utf-8",
    "content-language": language,
    "content-security-policy": pagePolicy,
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
    vary: "Accept-Language",
  });
}
