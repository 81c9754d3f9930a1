import { afterAll, beforeAll, expect, test } from "bun:test";
import type { DomainView } from "@tyto/contracts";
import { mailHostname, startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
  await gateway.call("POST", "/v1/domains", { domain: "example.com" });
});
afterAll(() => gateway.stop());

const check = async () => {
  const answer = await gateway.call("POST", "/v1/domains/example.com/check");
  expect(answer.status).toBe(200);
  return (await answer.json()) as DomainView;
};

test("200 looks now: pending, verified, failing, and what senders of mail are warned of follows", async () => {
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
  const warnings = async () =>
    ((await (await gateway.call("POST", "/v1/emails", mail)).json()) as { warnings: string[] }).warnings;
  const { records, state } = await check();
  expect(state).toBe("pending");
  expect(await warnings()).toHaveLength(1);
  for (const { type, name, value } of records)
    if (type === "TXT")
      gateway.dns.set(name, { TXT: [value], MX: [{ preference: 10, exchange: mailHostname }] });
  gateway.clock.now += 1;
  expect((await check()).state).toBe("verified");
  await gateway.whenVerified("example.com", true);
  expect(await warnings()).toEqual([]);
  gateway.dns.set("bounces.example.com", { TXT: ["v=spf1 -all"] });
  gateway.clock.now += 1;
  const failing = await check();
  expect(failing.state).toBe("failing");
  expect(failing.records.find(({ purpose }) => purpose === "spf")).toMatchObject({
    state: "different",
    found: ["v=spf1 -all"],
  });
});

test("404 for a domain that is not set up", async () => {
  expect((await gateway.call("POST", "/v1/domains/nowhere.example/check")).status).toBe(404);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  const answer = await gateway.request("/v1/domains/example.com/check", { method: "POST", headers });
  expect(answer.status).toBe(403);
});
