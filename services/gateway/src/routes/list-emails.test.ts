import { afterAll, beforeAll, expect, test } from "bun:test";
import type { EmailSummary } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
  for (let index = 0; index < 5; index++) {
    gateway.clock.now += 1_000;
    const to = index === 2 ? "special@example.org" : `user${index}@example.org`;
    const tags = index % 2 === 0 ? ["even"] : ["odd"];
    const scheduled_at = index === 4 ? new Date(gateway.clock.now + 60_000).toISOString() : undefined;
    const mail = { from: "ann@example.com", to, subject: `Mail ${index}`, text: "x", tags, scheduled_at };
    expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(202);
  }
  await gateway.record();
});
afterAll(() => gateway.stop());

type Page = { data: EmailSummary[]; next_cursor: string | null };
const list = async (query = "") => {
  const answer = await gateway.call("GET", `/v1/emails${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Page;
};
const subjects = ({ data }: Page) => data.map(({ subject }) => subject);

test("200 lists messages, newest first, with what a table needs", async () => {
  const page = await list();
  expect(subjects(page)).toEqual(["Mail 4", "Mail 3", "Mail 2", "Mail 1", "Mail 0"]);
  expect(page.next_cursor).toBeNull();
  expect(page.data[2]).toMatchObject({
    status: "accepted",
    from: "ann@example.com",
    to: ["special@example.org"],
    recipient_count: 1,
    tags: ["even"],
  });
});

test("200 in pages: each message once, until next_cursor is null", async () => {
  const seen: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await list(`?limit=2${cursor}`);
    seen.push(...subjects(page));
    if (page.next_cursor === null) break;
    cursor = `&cursor=${page.next_cursor}`;
  }
  expect(seen).toEqual(["Mail 4", "Mail 3", "Mail 2", "Mail 1", "Mail 0"]);
});

test("200 filtered by status, recipient, tag and domain", async () => {
  expect(subjects(await list("?status=scheduled"))).toEqual(["Mail 4"]);
  expect(subjects(await list("?recipient=special@example.org"))).toEqual(["Mail 2"]);
  expect(subjects(await list("?tag=odd"))).toEqual(["Mail 3", "Mail 1"]);
  expect(subjects(await list("?domain=example.com&limit=1"))).toEqual(["Mail 4"]);
  expect(subjects(await list("?domain=example.net"))).toEqual([]);
});

test.each(["?status=sent", "?limit=0", "?limit=101", "?limit=x"])("400 for %s", async (query) => {
  expect((await gateway.call("GET", `/v1/emails${query}`)).status).toBe(400);
});

test("401 without a key, 403 without the scope", async () => {
  expect((await gateway.request("/v1/emails")).status).toBe(401);
  const key = await gateway.key("emails:send");
  const headers = { authorization: `Bearer ${key}` };
  expect((await gateway.request("/v1/emails", { headers })).status).toBe(403);
});

test("503 with Retry-After while Convex is away", async () => {
  gateway.outage.convex = true;
  const answer = await gateway.call("GET", "/v1/emails");
  gateway.outage.convex = false;
  expect(answer.status).toBe(503);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
});
