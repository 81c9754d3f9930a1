import { afterAll, beforeAll, expect, test } from "bun:test";
import type { DomainView } from "@tyto/contracts";
import { mailHostname, startTestGateway, type TestGateway } from "../testing.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const path = "/v1/domains/example.com";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
  await gateway.call("POST", "/v1/domains", { domain: "example.com" });
  publish(await ask("POST", `${path}/check`));
  gateway.clock.now += 1;
  expect((await ask("POST", `${path}/check`)).state).toBe("verified");
});
afterAll(() => gateway.stop());

async function ask(method: string, at: string): Promise<DomainView> {
  const answer = await gateway.call(method, at);
  expect(answer.status).toBe(200);
  return (await answer.json()) as DomainView;
}
function publish({ records }: DomainView): void {
  for (const { type, name, value } of records)
    if (type === "TXT")
      gateway.dns.set(name, { TXT: [value], MX: [{ preference: 10, exchange: mailHostname }] });
}
const keysOf = ({ records }: DomainView) =>
  records
    .filter(({ purpose }) => purpose === "dkim")
    .map(({ name, stage = "signs", state }) => [name.split(".")[0], stage, state]);

test("next keys are shown beside those that sign, and asking again makes no others", async () => {
  const rotating = await ask("POST", `${path}/rotate-keys`);
  expect(keysOf(rotating)).toEqual([
    ["tyto1", "signs", "found"],
    ["tyto2", "signs", "found"],
    ["tyto2r", "next", "missing"],
  ]);
  expect(rotating).toMatchObject({
    state: "verified",
    rotation: { started_at: new Date(gateway.clock.now).toISOString() },
  });
  expect(keysOf(await ask("POST", `${path}/rotate-keys`))).toEqual(keysOf(rotating));
});

test("they sign by themselves within an hour or so of DNS showing them, and old keys stay for seven days", async () => {
  await gateway.sweep();
  expect((await gateway.domainRecord("example.com"))?.keys.map(({ selector }) => selector)).toEqual([
    "tyto1",
    "tyto2",
  ]);
  publish(await ask("GET", path));
  gateway.clock.now += 2 * hourMs;
  await gateway.sweep();
  const keepUntil = gateway.clock.now + 7 * dayMs;
  await gateway.whenSigning("example.com", "tyto2r");
  const rotated = await ask("GET", path);
  expect(keysOf(rotated)).toEqual([
    ["tyto2r", "signs", "found"],
    ["tyto1", "old", "found"],
    ["tyto2", "old", "found"],
  ]);
  expect(rotated).toMatchObject({
    state: "verified",
    rotation: { keep_until: new Date(keepUntil).toISOString() },
  });
});

test("old keys that leave DNS early are still asked for; after their time they are forgotten once gone", async () => {
  gateway.dns.set("tyto1._domainkey.example.com", undefined);
  gateway.clock.now += 1;
  expect(keysOf(await ask("POST", `${path}/check`))).toContainEqual(["tyto1", "old", "missing"]);
  gateway.clock.now += 8 * dayMs;
  expect(keysOf(await ask("POST", `${path}/check`))).toEqual([
    ["tyto2r", "signs", "found"],
    ["tyto2", "old", "found"],
  ]);
  gateway.dns.set("tyto2._domainkey.example.com", undefined);
  gateway.clock.now += 1;
  const { records, rotation } = await ask("POST", `${path}/check`);
  expect(records.filter(({ stage }) => stage !== undefined)).toEqual([]);
  expect(rotation).toBeUndefined();
});

test("keys get successors by themselves when they are old, but not in a domain that is not in order", async () => {
  gateway.clock.now += 181 * dayMs;
  gateway.dns.set("bounces.example.com", undefined);
  await ask("POST", `${path}/check`);
  await gateway.sweep();
  expect((await ask("GET", path)).rotation).toBeUndefined();
  gateway.dns.set("bounces.example.com", {
    TXT: [`v=spf1 a:${mailHostname} -all`],
    MX: [{ preference: 10, exchange: mailHostname }],
  });
  gateway.clock.now += 1;
  await ask("POST", `${path}/check`);
  await gateway.sweep();
  expect(keysOf(await ask("GET", path))).toEqual([
    ["tyto2r", "signs", "found"],
    ["tyto3r", "next", "missing"],
  ]);
});

test("503 while the domain waits for its first keys, 404 for one that is not set up, 403 without the scope", async () => {
  const keyless = await startTestGateway({ config: { keysWaitMsMax: 10 } });
  try {
    await keyless.call("POST", "/v1/domains", { domain: "new.example" });
    expect((await keyless.call("POST", "/v1/domains/new.example/rotate-keys")).status).toBe(503);
  } finally {
    await keyless.stop();
  }
  expect((await gateway.call("POST", "/v1/domains/nowhere.example/rotate-keys")).status).toBe(404);
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  expect((await gateway.request(`${path}/rotate-keys`, { method: "POST", headers })).status).toBe(403);
});
