import { afterAll, beforeAll, expect, test } from "bun:test";
import type { DomainView } from "@tyto/contracts";
import { mailHostname, startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
  expect((await gateway.call("POST", "/v1/domains", { domain: "example.com" })).status).toBe(201);
});
afterAll(() => gateway.stop());

const get = async () => {
  const answer = await gateway.call("GET", "/v1/domains/example.com");
  expect(answer.status).toBe(200);
  return (await answer.json()) as DomainView;
};

test("200 looks at DNS when the last look is a minute old, and not before", async () => {
  const before = await get();
  expect(before.state).toBe("pending");
  for (const { type, name, value } of before.records)
    if (type === "TXT")
      gateway.dns.set(name, {
        TXT: [value],
        ...(name === "bounces.example.com" ? { MX: [{ preference: 5, exchange: mailHostname }] } : {}),
      });
  expect((await get()).state).toBe("pending");
  gateway.clock.now += 60_001;
  const after = await get();
  expect(after.state).toBe("verified");
  expect(after.records.map(({ state }) => state)).toEqual(["found", "found", "found", "found", "found"]);
  expect(after.checked_at).toBe(new Date(gateway.clock.now).toISOString());
});

test("200 with the DKIM records although the keys came after the domain was added", async () => {
  const other = await startTestGateway({ config: { keysWaitMsMax: 10 } });
  try {
    const added = other.call("POST", "/v1/domains", { domain: "late.example" });
    const view = (await (await added).json()) as DomainView;
    expect(view.state).toBe("preparing");
    expect(view.records.some(({ purpose }) => purpose === "dkim")).toBe(false);
    await other.makesKeys(true);
    const answer = await other.call("GET", "/v1/domains/late.example");
    const { records, state } = (await answer.json()) as DomainView;
    expect(state).toBe("pending");
    expect(records.filter(({ purpose }) => purpose === "dkim")).toHaveLength(2);
  } finally {
    await other.stop();
  }
});

test("404 for a domain that is not set up", async () => {
  expect((await gateway.call("GET", "/v1/domains/nowhere.example")).status).toBe(404);
});

test("400 for what is no domain", async () => {
  expect((await gateway.call("GET", "/v1/domains/nowhere")).status).toBe(400);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  expect((await gateway.request("/v1/domains/example.com", { headers })).status).toBe(403);
});
