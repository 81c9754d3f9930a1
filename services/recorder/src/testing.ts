/** Convex for the tests of the recorder: its real HTTP actions behind a real port, and ways to make them fail. */
import type { StoredEvent } from "@tyto/contracts";
import { sample, startConvex, type TestDeployment, webhookSecret } from "@tyto/convex/samples.testing.ts";

export const webhookKey = Buffer.from(webhookSecret.slice("whsec_".length), "base64");

export type TestSite = {
  convex: TestDeployment;
  url: string;
  /** What the next requests get instead of Convex's answer; `undefined` lets them through. */
  interfere: (path: string, body: string) => Response | undefined;
  /** Events in each request to /events, as they came. */
  batches: number[];
  stop(): Promise<void>;
};

export function startSite(): TestSite {
  const site: TestSite = {
    convex: startConvex(),
    url: "",
    interfere: () => undefined,
    batches: [],
    stop: () => server.stop(true),
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const body = await request.arrayBuffer();
      const text = new TextDecoder().decode(body);
      if (pathname === "/events")
        site.batches.push((JSON.parse(text) as { events: unknown[] }).events.length);
      const headers = Object.fromEntries(request.headers);
      return (
        site.interfere(pathname, text) ??
        (await site.convex.fetch(pathname, { method: "POST", body, headers }))
      );
    },
  });
  site.url = `http://127.0.0.1:${server.port}`;
  return site;
}

/** Accepted messages with ids of their own. */
export const messages = (count: number, from = 0): StoredEvent[] =>
  Array.from({ length: count }, (_, index) => {
    const digits = String(from + index).padStart(6, "0");
    const messageId = `01ke70ehg0abcdefghjk${digits}`;
    return sample("mail.accepted", { id: `${messageId}.accepted`, messageId });
  });

/** An event that keeps our contract and that an older Convex would call malformed. */
export const malformed = (id: string): StoredEvent => {
  const event = sample("mail.held", { id });
  return { ...event, payload: { ...event.payload, at: -1 } };
};
