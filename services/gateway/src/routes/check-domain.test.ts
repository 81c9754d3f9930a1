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

test("the SPF record has every address that the mta sends from, and one without them does not pass", async () => {
  const mta = await gateway.nats.connect("mta");
  const lastMinute = { delivered: 0, deferred: 0, bounced: 0 };
  const egresses = [
    { egress: "one", ehloName: "mail1.tyto.test", localIp: "198.51.100.7" },
    { egress: "two", ehloName: "mail2.tyto.test", localIp: "198.51.100.8" },
    { egress: "far", ehloName: "far.tyto.test", proxy: "socks5://10.0.0.9:1080" },
  ].map((one) => ({
    ...one,
    ...{ weight: 1, state: "in" as const, connections: 0, checks: [], lastMinute },
  }));
  const answering = mta.control.answer("mta.pools", async () => ({
    process: "p",
    pools: [{ pool: "default", isDefault: true, egresses }],
  }));
  await mta.bucket("CLAIMS").get("nothing");
  const spf = async () => (await check()).records.find(({ purpose }) => purpose === "spf");
  gateway.dns.set("bounces.example.com", { TXT: [`v=spf1 a:${mailHostname} -all`] });
  gateway.clock.now += 60_000;
  const wanted = "v=spf1 ip4:198.51.100.7 ip4:198.51.100.8 a:mail.tyto.test a:far.tyto.test -all";
  expect(await spf()).toMatchObject({ state: "different", value: wanted });
  gateway.dns.set("bounces.example.com", {
    TXT: ["v=spf1 ip4:198.51.100.0/28 a:far.tyto.test a:mail.tyto.test -all"],
  });
  gateway.clock.now += 1;
  expect(await spf()).toMatchObject({ state: "found", value: wanted });
  answering.stop();
  gateway.clock.now += 60_000;
  expect(await spf()).toMatchObject({ state: "found", value: wanted });
});

test("404 for a domain that is not set up", async () => {
  expect((await gateway.call("POST", "/v1/domains/nowhere.example/check")).status).toBe(404);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  const answer = await gateway.request("/v1/domains/example.com/check", { method: "POST", headers });
  expect(answer.status).toBe(403);
});
