import { afterAll, beforeAll, expect, test } from "bun:test";
import type { DomainView } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
});
afterAll(() => gateway.stop());

const add = (domain: unknown) => gateway.call("POST", "/v1/domains", { domain });

test("201 tells the DNS records to publish, those of the new keys too, and mail can be sent at once", async () => {
  const answer = await add("Example.COM.");
  expect(answer.status).toBe(201);
  const view = (await answer.json()) as DomainView;
  expect(view).toMatchObject({ domain: "example.com", state: "pending" });
  expect(view.records.map(({ purpose, type, name, state }) => [purpose, type, name, state])).toEqual([
    ["dkim", "TXT", "tyto1._domainkey.example.com", "missing"],
    ["dkim", "TXT", "tyto2._domainkey.example.com", "missing"],
    ["spf", "TXT", "bounces.example.com", "missing"],
    ["return-path", "MX", "bounces.example.com", "missing"],
    ["dmarc", "TXT", "_dmarc.example.com", "missing"],
  ]);
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
  expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(202);
});

test("201 for a domain of another script keeps its ASCII form", async () => {
  expect(await (await add("Bücher.example")).json()).toMatchObject({ domain: "xn--bcher-kva.example" });
});

test("409 for a domain that is there", async () => {
  await add("twice.example");
  const answer = await add("twice.example");
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ code: "domain.exists" });
});

test("400 for what is no domain", async () => {
  for (const domain of ["localhost", "a b.example", "-x.example", "", 5])
    expect((await add(domain)).status).toBe(400);
});

test("403 without the scope", async () => {
  const key = await gateway.key("emails:send");
  const answer = await gateway.call(
    "POST",
    "/v1/domains",
    { domain: "a.example" },
    { authorization: `Bearer ${key}` },
  );
  expect(answer.status).toBe(403);
});
