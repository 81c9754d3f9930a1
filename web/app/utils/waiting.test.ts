import { expect, test } from "bun:test";
import { askWaiting } from "./waiting.ts";

const row = (key: string, more: object = {}) => ({
  ...{ key, entries: 1, ready: 0, later: 1, next_at: "2026-11-21T10:00:00Z" },
  ...{ state: "open", connections: 0, in_hand: 0 },
  ...more,
});
const hold = (scope: string, id: string, more: object = {}) => ({
  ...{ key: `${scope}:${id}`, scope, id, why: "x", by: "ann", since: "2026-11-21T09:00:00Z" },
  ...more,
});
const site = (domain: string, limits: object[] = []) => ({ domain, state: { limits } });

/** Answers by path, without the query; `asked` keeps what was asked for. */
function gatewayOf(answers: Record<string, unknown>) {
  const asked: string[] = [];
  const get = async <Answer>(path: string): Promise<Answer> => {
    asked.push(path);
    const by = /\/v1\/queue\?by=(\w+)&message_id=m%2F1&limit=20/.exec(path)?.[1];
    const answer = answers[by ?? path];
    if (answer === undefined) throw new Error(`nobody expected ${path}`);
    return answer as Answer;
  };
  return { asked, get };
}

test("a message that does not wait costs one question", async () => {
  const { asked, get } = gatewayOf({ site: { rows: [] } });
  expect(await askWaiting(get, "m/1")).toEqual({ sites: [], holds: [] });
  expect(asked).toHaveLength(1);
});

test("the queue's reason is told with the time of the next attempt", async () => {
  const rows = [
    row("google", { provider: "google", state: "slowed", why: "no address may send bulk mail now" }),
  ];
  const { get } = gatewayOf({ site: { rows }, "/v1/holds": { data: [] } });
  expect((await askWaiting(get, "m/1")).sites).toEqual([
    {
      ...{ site: "google", provider: "google", state: "slowed", until: undefined },
      ...{ why: "no address may send bulk mail now", nextAt: "2026-11-21T10:00:00Z" },
    },
  ]);
});

test("where the queue has no reason, an address that the site is left alone by tells one", async () => {
  const limits = [
    { egress: "mail2", state: "open" },
    { egress: "mail1", state: "suspended", until: "2026-11-21T11:00:00Z", why: "Yahoo puts mail off" },
  ];
  const { get } = gatewayOf({
    site: { rows: [row("yahoo", { ready: 1 })] },
    "/v1/holds": { data: [] },
    "/v1/sites/yahoo": site("yahoo.com", limits),
  });
  expect((await askWaiting(get, "m/1")).sites).toEqual([
    {
      ...{ site: "yahoo", provider: undefined, state: "suspended", until: "2026-11-21T11:00:00Z" },
      ...{ why: "mail1: Yahoo puts mail off", nextAt: undefined },
    },
  ]);
});

test("holds over its site, domain, sender and campaign count, those of others do not", async () => {
  const over = [
    hold("everything", "everything"),
    hold("site", "mx.one.example"),
    hold("domain", "one.example"),
    hold("organization", "acme"),
    hold("campaign", "autumn"),
    hold("campaign", "acme/autumn", { site: "mx.one.example" }),
  ];
  const others = [
    hold("site", "google"),
    hold("domain", "two.example"),
    hold("organization", "other"),
    hold("campaign", "other/autumn"),
    hold("campaign", "autumn", { site: "google" }),
  ];
  const { get } = gatewayOf({
    site: { rows: [row("mx.one.example")] },
    campaign: { rows: [row("autumn")] },
    organization: { rows: [row("acme")] },
    "/v1/holds": { data: [...others, ...over] },
    "/v1/sites/mx.one.example": site("one.example"),
  });
  expect((await askWaiting(get, "m/1")).holds as object[]).toEqual(over);
});

test("what is held is told once, by its hold", async () => {
  const held = hold("site", "google");
  const { get } = gatewayOf({
    site: { rows: [row("google", { state: "held", why: "held by ann: x" })] },
    "/v1/holds": { data: [held] },
  });
  expect((await askWaiting(get, "m/1")) as object).toEqual({ sites: [], holds: [held] });
});
