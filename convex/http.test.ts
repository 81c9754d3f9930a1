import { expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { rounds } from "../test/parts/rounds.ts";
import {
  appliedEvents,
  messageId,
  sample,
  startConvex,
  type TestDeployment,
  webhookSecret,
} from "./samples.testing.ts";

const signed = (body: string, headers: Record<string, string> = {}): RequestInit => {
  const at = new Date();
  return {
    method: "POST",
    body,
    headers: {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": new Webhook(webhookSecret).sign("msg_1", at, body),
      ...headers,
    },
  };
};
const post = (t: TestDeployment, events: unknown) => t.fetch("/events", signed(JSON.stringify({ events })));

test("a signed batch is applied, and again is only counted", async () => {
  const t = startConvex();
  const events = [sample("mail.accepted"), sample("mail.delivered")];
  const first = await post(t, events);
  expect([first.status, await first.json()]).toEqual([200, { applied: 2, repeated: 0 }]);
  expect(await (await post(t, events)).json()).toEqual({ applied: 0, repeated: 2 });
  expect(await appliedEvents(t)).toHaveLength(2);
});

test("a hard bounce suppresses by way of the HTTP action too", async () => {
  const t = startConvex();
  await post(t, [sample("mail.bounced")]);
  expect(await t.run((ctx) => ctx.db.query("suppressions").collect())).toHaveLength(1);
});

test("without the right signature nothing is applied", async () => {
  const t = startConvex();
  const body = JSON.stringify({ events: [sample("mail.accepted")] });
  for (const headers of [
    { "webhook-signature": "v1,AAAA" },
    { "webhook-timestamp": "1" },
    { "webhook-id": "x" },
  ]) {
    const answer = await t.fetch("/events", signed(body, headers));
    expect([answer.status, (await answer.json()).code]).toEqual([401, "request.unauthenticated"]);
  }
  const bare = await t.fetch("/events", { method: "POST", body });
  expect(bare.status).toBe(401);
  expect(await appliedEvents(t)).toEqual([]);
});

test("without a secret everything is refused", async () => {
  const t = startConvex({ env: {} });
  const answer = await post(t, [sample("mail.accepted")]);
  expect([answer.status, (await answer.json()).detail]).toEqual([401, expect.stringContaining("is not set")]);
});

const malformed: [string, string][] = [
  ["a body that is no JSON", "{"],
  ["a body without events", "{}"],
  ["a body of null", "null"],
  ["an unknown subject", JSON.stringify({ events: [{ subject: "mail.lost", payload: {} }] })],
  ["a missing payload", JSON.stringify({ events: [{ subject: "mail.held" }] })],
  ["an entry of null", JSON.stringify({ events: [null] })],
];
for (const [name, body] of malformed)
  test(`${name} is refused with 400`, async () => {
    const t = startConvex();
    const answer = await t.fetch("/events", signed(body));
    expect([answer.status, (await answer.json()).code]).toEqual([400, "request.invalid"]);
  });

test("one malformed event refuses the batch whole and is named", async () => {
  const t = startConvex();
  const bad = { subject: "mail.held", payload: { ...sample("mail.held").payload, at: "noon" } };
  const answer = await post(t, [sample("mail.accepted"), bad]);
  expect([answer.status, (await answer.json()).detail]).toEqual([
    400,
    expect.stringContaining("events[1].payload.at"),
  ]);
  expect(await appliedEvents(t)).toEqual([]);
});

test("more than 1,000 events are refused", async () => {
  const events = Array.from({ length: 1_001 }, () => sample("mail.accepted"));
  expect((await post(startConvex(), events)).status).toBe(413);
});

const manyMessages = rounds(60, 200);

test(`${manyMessages} messages with 50 recipients each fit, in as many transactions as they need`, async () => {
  const t = startConvex();
  const recipients = Array.from({ length: 50 }, (_, i) => ({ address: `u${i}@example.net`, role: "to" }));
  const events = Array.from({ length: manyMessages }, (_, i) => {
    const id = `${messageId.slice(0, -3)}${String(i).padStart(3, "0")}`;
    return sample("mail.accepted", { id: `${id}.accepted`, messageId: id, recipients });
  });
  const answer = await post(t, events);
  expect(await answer.json()).toEqual({ applied: manyMessages, repeated: 0 });
  const counters = await t.run((ctx) => ctx.db.query("counters").collect());
  const accepted = counters.filter(({ period }) => period === "hour").map(({ accepted }) => accepted);
  expect(accepted.reduce((a, b) => a + b, 0)).toBe(50 * manyMessages);
}, 120_000);

test("half a surrogate pair does not hold up the events behind it", async () => {
  const t = startConvex();
  const body = JSON.stringify({ events: [sample("mail.accepted")] }).replace(
    "Your order",
    "Your \\ud83d order",
  );
  expect((await t.fetch("/events", signed(body))).status).toBe(200);
  const [message] = await t.run((ctx) => ctx.db.query("messages").collect());
  expect(message?.details?.subject).toBe("Your \ufffd order");
});

const framed = (files: Record<string, string>) =>
  `${JSON.stringify({ files: Object.entries(files).map(([id, text]) => ({ id, bytes: text.length })) })}\n${Object.values(files).join("")}`;
const filesOf = (t: TestDeployment) => t.run((ctx) => ctx.db.query("inboundFiles").collect());
const stored = (t: TestDeployment) => t.run((ctx) => ctx.db.system.query("_storage").collect());

test("raw messages are stored once under their ids, many in a request", async () => {
  const t = startConvex();
  const send = (files: Record<string, string>) => t.fetch("/inbound", signed(framed(files)));
  const first = await send({ raw1: "Subject: A question\r\n\r\nHow?\r\n", raw2: "", raw3: "\n{}\n" });
  expect(await first.json()).toEqual({ stored: 3, repeated: 0 });
  expect(await (await send({ raw2: "", raw4: "x" })).json()).toEqual({ stored: 1, repeated: 1 });
  expect((await filesOf(t)).map(({ rawId, bytes }) => [rawId, bytes])).toEqual([
    ["raw1", 29],
    ["raw2", 0],
    ["raw3", 4],
    ["raw4", 1],
  ]);
  expect(await stored(t)).toHaveLength(4);
});

test("raw messages need a signature, names, and exactly the bytes that were told", async () => {
  const t = startConvex();
  const whole = framed({ raw1: "x" });
  expect((await t.fetch("/inbound", { method: "POST", body: whole })).status).toBe(401);
  for (const body of [
    "x",
    "{}\n",
    "[]\nx",
    whole.slice(0, -1),
    `${whole}y`,
    framed({ "../1": "x" }),
    "\xff\n",
  ])
    expect([body, (await t.fetch("/inbound", signed(body))).status]).toEqual([body, 400]);
  expect(await stored(t)).toEqual([]);
});

test("a raw message that is too large for a request is uploaded, and kept only when it is whole", async () => {
  const t = startConvex();
  const ask = async (path: string, body: unknown) => await t.fetch(path, signed(JSON.stringify(body)));
  const { url } = await (await ask("/inbound/upload", { id: "raw1" })).json();
  expect(url).toStartWith("http");
  const upload = () => t.run((ctx) => ctx.storage.store(new Blob(["x".repeat(100)])));
  const half = await upload();
  expect((await ask("/inbound/uploaded", { id: "raw1", storageId: half, bytes: 200 })).status).toBe(400);
  expect((await ask("/inbound/uploaded", { id: "raw1", storageId: "nothing", bytes: 1 })).status).toBe(400);
  expect(await stored(t)).toEqual([]);
  const storageId = await upload();
  expect((await ask("/inbound/uploaded", { id: "raw1", storageId, bytes: 100 })).status).toBe(200);
  expect((await ask("/inbound/uploaded", { id: "raw1", storageId, bytes: 100 })).status).toBe(200);
  expect(await filesOf(t)).toMatchObject([{ rawId: "raw1", storageId, bytes: 100 }]);
  expect(await (await ask("/inbound/upload", { id: "raw1" })).json()).toEqual({});
  expect((await t.fetch("/inbound/upload", { method: "POST", body: "{}" })).status).toBe(401);
  expect((await ask("/inbound/upload", { id: 1 })).status).toBe(400);
});
