import { afterAll, beforeAll, expect, test } from "bun:test";
import { type BatchAnswer, limits, type Problem } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
  await gateway.suppress("gone@example.org");
});
afterAll(() => gateway.stop());

const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "Hello" };
const post = (body: unknown, headers?: Record<string, string>) =>
  gateway.call("POST", "/v1/emails/batch", body, headers);

test("202 accepts what is in order and tells what is wrong with the rest, each at its place", async () => {
  const before = (await gateway.events()).length;
  const answer = await post([
    mail,
    { ...mail, to: [] },
    { ...mail, from: "a@nowhere.example" },
    "text",
    { ...mail, to: "gone@example.org" },
    { ...mail, scheduled_at: new Date(gateway.clock.now + 1_000).toISOString() },
    { ...mail, scheduled_at: "2028-01-01T00:00:00Z" },
  ]);
  expect(answer.status).toBe(202);
  const { accepted, failed, results } = (await answer.json()) as BatchAnswer;
  expect({ accepted, failed }).toEqual({ accepted: 2, failed: 5 });
  expect(
    results.map((result) =>
      result.status === "failed"
        ? [result.index, result.error.code, result.error.errors?.[0]?.path]
        : [result.index, result.status],
    ),
  ).toEqual([
    [0, "accepted"],
    [1, "request.invalid", "to"],
    [2, "domain.unknown", undefined],
    [3, "request.invalid", ""],
    [4, "recipient.suppressed", undefined],
    [5, "scheduled"],
    [6, "request.invalid", "scheduled_at"],
  ]);
  expect(await gateway.events()).toHaveLength(before + 2);
});

test("202 for 500 messages, each with an id of its own", async () => {
  const before = (await gateway.events()).length;
  const items = Array.from({ length: 500 }, (_, index) => ({ ...mail, to: `user${index}@example.org` }));
  const answer = (await (await post(items)).json()) as BatchAnswer;
  expect(answer.accepted).toBe(500);
  expect(answer.results.map(({ index }) => index)).toEqual(items.map((_, index) => index));
  const fresh = (await gateway.events()).slice(before);
  expect(fresh).toHaveLength(500);
  const ids = new Set(answer.results.flatMap((result) => ("id" in result ? [result.id] : [])));
  expect(ids.size).toBe(500);
});

test("a repeat with the same Idempotency-Key gets the same answer, failures too", async () => {
  const items = [mail, { ...mail, from: "a@later.example" }, { ...mail, subject: 5 }];
  const headers = { "idempotency-key": "batch" };
  const first = (await (await post(items, headers)).json()) as BatchAnswer;
  expect(first.accepted).toBe(1);
  const before = (await gateway.events()).length;
  // What changed since then does not change the answer.
  await gateway.addDomain("later.example");
  const again = await post(items, headers);
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect(await again.json()).toEqual(first);
  expect(await gateway.events()).toHaveLength(before);
});

test("400 for no list, an empty one and one that is too long", async () => {
  for (const body of [{}, [], Array.from({ length: limits.batchMessagesMax + 1 }, () => mail)]) {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as Problem).code).toBe("request.invalid");
  }
});

test("413 over the limit of a batch", async () => {
  const answer = await post("[]", { "content-length": String(limits.batchBytesMax + 1) });
  expect(answer.status).toBe(413);
});

test("403 without the scope", async () => {
  const key = await gateway.key("emails:read");
  expect((await post([mail], { authorization: `Bearer ${key}` })).status).toBe(403);
});

test("503 for new mail while the disk has no room, and a repeat of what was accepted gets its answer", async () => {
  const storeDisk = { dir: import.meta.dir, freeMbMin: 1 };
  const full = await startTestGateway({ config: { storeDisk } });
  try {
    await full.addDomain("example.com");
    const key = { "idempotency-key": "a batch" };
    const post = (path: string, body: unknown, headers = {}) => full.call("POST", path, body, headers);
    const first = await (await post("/v1/emails/batch", [mail], key)).json();
    storeDisk.freeMbMin = 2 ** 40;
    const before = (await full.events()).length;
    for (const [path, body] of [
      ["/v1/emails", mail],
      ["/v1/emails/batch", [mail, mail]],
    ] as const) {
      const answer = await post(path, body);
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("60");
      expect(await answer.json()).toMatchObject({
        code: "storage.full",
        detail: expect.stringContaining("MB left"),
      });
    }
    expect(await full.events()).toHaveLength(before);
    expect(await (await post("/v1/emails/batch", [mail], key)).json()).toEqual(first);
  } finally {
    await full.stop();
  }
});
