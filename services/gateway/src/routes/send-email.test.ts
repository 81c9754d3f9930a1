import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { limits, MessageId, type Problem, type SendAnswer } from "@tyto/contracts";
import { encodeMessageId } from "@tyto/mail";
import PostalMime from "postal-mime";
import { rounds } from "../../../../test/parts/rounds.ts";
import { sha256 } from "../idempotency.ts";
import { startTestGateway, type TestGateway, verpKey } from "../testing.ts";

let gateway: TestGateway;
let mta: Bus;
beforeAll(async () => {
  gateway = await startTestGateway({ users: true, config: { siteUrl: "https://tyto.test" } });
  mta = await gateway.nats.connect("mta");
  await gateway.addDomain("example.com");
  await gateway.addDomain("unverified.example", { verified: false });
  await gateway.addDomain("xn--bcher-kva.example");
  await gateway.suppress("gone@example.org");
});
afterAll(() => gateway.stop());

const mail = { from: "Ann <ann@example.com>", to: "bob@example.org", subject: "Hi", text: "Hello" };
const post = (body: unknown, headers?: Record<string, string>) =>
  gateway.call("POST", "/v1/emails", body, headers);
const accepted = async (answer: Response): Promise<SendAnswer> => {
  expect(answer.status).toBe(202);
  return (await answer.json()) as SendAnswer;
};
const problem = async (answer: Response): Promise<Problem> => {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  return (await answer.json()) as Problem;
};
const eventsOf = async (id: string) =>
  (await gateway.events()).filter(({ payload }) => "messageId" in payload && payload.messageId === id);

describe("202", () => {
  test("comes after body and event are stored, and the event tells how to read the body", async () => {
    const { id, ...answer } = await accepted(await post({ ...mail, tags: ["a"], metadata: { k: "v" } }));
    expect(answer).toEqual({
      status: "accepted",
      recipients: [{ address: "bob@example.org", status: "accepted" }],
      warnings: [],
    });
    const [event, ...more] = await eventsOf(id);
    expect(more).toEqual([]);
    if (event?.subject !== "mail.accepted") throw new Error("not accepted");
    expect(event.payload).toMatchObject({
      id: `${id}.accepted`,
      messageIdHeader: encodeMessageId(MessageId.parse(id), "example.com", verpKey),
      domain: "example.com",
      recipients: [{ address: "bob@example.org", role: "to" }],
      tags: ["a"],
      metadata: { k: "v" },
      at: gateway.clock.now,
      expiresAt: gateway.clock.now + limits.expiryDays * 86_400_000,
    });
    const body = await mta.bodies.get(id, event.payload.bodyChunks);
    expect(body.length).toBe(event.payload.bodyBytes);
    expect(await PostalMime.parse(body)).toMatchObject({ subject: "Hi", text: "Hello\n" });
  });

  test("unsubscribe reaches the event, unless the sender has a List-Unsubscribe of their own", async () => {
    const flagOf = async (more: object) => {
      const { id } = await accepted(await post({ ...mail, ...more }));
      const [event] = await eventsOf(id);
      return event?.subject === "mail.accepted" ? event.payload.unsubscribe : "no event";
    };
    expect(await flagOf({})).toBeUndefined();
    expect(await flagOf({ unsubscribe: true })).toBe(true);
    const headers = {
      "list-Unsubscribe": "<https://example.com/out>",
      "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    };
    expect(await flagOf({ unsubscribe: true, headers })).toBeUndefined();
  });

  test("require_tls reaches the event, and TLS-Required: No as its contrary; the field wins", async () => {
    const requireTlsOf = async (more: object) => {
      const { id } = await accepted(await post({ ...mail, ...more }));
      const [event] = await eventsOf(id);
      return event?.subject === "mail.accepted" ? event.payload.requireTls : "no event";
    };
    const headers = { "tls-required": " No" };
    expect(await requireTlsOf({})).toBeUndefined();
    expect(await requireTlsOf({ require_tls: true })).toBe(true);
    expect(await requireTlsOf({ require_tls: false })).toBe(false);
    expect(await requireTlsOf({ headers })).toBe(false);
    expect(await requireTlsOf({ headers, require_tls: true })).toBe(true);
  });

  test("with an attachment the scanner is asked first", async () => {
    const attachments = [{ filename: "a.txt", content: btoa("file") }];
    const { id } = await accepted(await post({ ...mail, attachments }));
    expect((await eventsOf(id)).map(({ subject }) => subject)).toEqual(["mail.submitted"]);
  });

  test("suppressed recipients are left out of the envelope, told in the answer, and each has its event", async () => {
    const { id, recipients } = await accepted(
      await post({ ...mail, to: ["Gone@example.org", "bob@example.org"], cc: "carl@example.org" }),
    );
    expect(recipients).toEqual([
      { address: "Gone@example.org", status: "suppressed" },
      { address: "bob@example.org", status: "accepted" },
      { address: "carl@example.org", status: "accepted" },
    ]);
    const [event, suppressed] = await eventsOf(id);
    expect(event?.payload).toMatchObject({
      recipients: [
        { address: "bob@example.org", role: "to" },
        { address: "carl@example.org", role: "cc" },
      ],
    });
    expect(suppressed?.payload).toMatchObject({
      deliveryId: `${id}-2`,
      recipient: "Gone@example.org",
      role: "to",
    });
  });

  test("an address counts once, in its first role", async () => {
    const { recipients } = await accepted(
      await post({
        ...mail,
        to: ["b@example.org"],
        cc: ["B@example.org"],
        bcc: ["b@example.org", "c@example.org"],
      }),
    );
    expect(recipients.map(({ address }) => address)).toEqual(["b@example.org", "c@example.org"]);
  });

  test("DNS records that are not published are a warning", async () => {
    const { warnings } = await accepted(await post({ ...mail, from: "a@unverified.example" }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("unverified.example");
  });

  test("a domain of another script is found by its ASCII form", async () => {
    const { id } = await accepted(await post({ ...mail, from: "a@bücher.example" }));
    expect((await eventsOf(id))[0]?.payload).toMatchObject({ domain: "xn--bcher-kva.example" });
  });

  test("scheduled_at schedules; a time that has passed does not", async () => {
    const soon = new Date(gateway.clock.now + 60_000).toISOString();
    const scheduled = await accepted(await post({ ...mail, scheduled_at: soon }));
    expect(scheduled.status).toBe("scheduled");
    expect((await eventsOf(scheduled.id))[0]?.payload).toMatchObject({
      scheduledAt: gateway.clock.now + 60_000,
    });
    const past = await accepted(await post({ ...mail, scheduled_at: "2020-01-01T00:00:00Z" }));
    expect(past.status).toBe("accepted");
    expect((await eventsOf(past.id))[0]?.payload).not.toHaveProperty("scheduledAt");
  });

  test("the message is known at once", async () => {
    const { id } = await accepted(await post(mail));
    const answer = await gateway.call("GET", `/v1/emails/${id}`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ id, status: "accepted" });
  });
});

describe("a repeat with the same Idempotency-Key", () => {
  test("gets the same answer and sends nothing", async () => {
    const headers = { "idempotency-key": "same" };
    const first = await post({ ...mail, to: ["bob@example.org", "gone@example.org"] }, headers);
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    const again = await post({ ...mail, to: ["bob@example.org", "gone@example.org"] }, headers);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    const answer = await accepted(again);
    expect(answer).toEqual(await accepted(first));
    expect(await eventsOf(answer.id)).toHaveLength(2);
  });

  test("and another body is a 409", async () => {
    const headers = { "idempotency-key": "other" };
    await accepted(await post(mail, headers));
    const answer = await post({ ...mail, subject: "Other" }, headers);
    expect(answer.status).toBe(409);
    expect((await problem(answer)).code).toBe("idempotency.conflict");
  });

  test("by another API key is a request of its own", async () => {
    const headers = { "idempotency-key": "shared" };
    const one = await accepted(await post(mail, headers));
    const key = await gateway.key("emails:send");
    const two = await accepted(await post(mail, { ...headers, authorization: `Bearer ${key}` }));
    expect(two.id).not.toBe(one.id);
  });

  test("many at once send one message", async () => {
    const headers = { "idempotency-key": "at once" };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(mail, headers)));
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses.filter((status) => status === 202).length).toBeGreaterThan(0);
    expect(statuses.every((status) => status === 202 || status === 429)).toBe(true);
    const ids = new Set<string>();
    for (const answer of answers)
      if (answer.status === 202) ids.add(((await answer.json()) as SendAnswer).id);
    expect(ids.size).toBe(1);
  });

  test("of a process that died waits for it, then finishes the same message", async () => {
    const body = JSON.stringify(mail);
    const messageId = MessageId.parse("01mcc5rm00zb9met0jef6sc3hb");
    const record = {
      bodySha256: sha256(body),
      owner: "a process that died",
      at: gateway.clock.now,
      decisions: [{ messageId, suppressed: [], warnings: [] }],
      done: false,
    };
    const here = await gateway.nats.connect("gateway");
    await here.bucket("IDEMPOTENCY").put(sha256("root\ncrashed"), record);

    const early = await post(body, { "idempotency-key": "crashed" });
    expect(early.status).toBe(429);
    expect(early.headers.get("retry-after")).toBe("10");
    expect((await problem(early)).code).toBe("idempotency.in-progress");

    gateway.clock.now += 10_000;
    const late = await accepted(await post(body, { "idempotency-key": "crashed" }));
    expect(late.id).toBe(messageId);
    expect(await accepted(await post(body, { "idempotency-key": "crashed" }))).toEqual(late);
    const events = await eventsOf(messageId);
    expect(events.map(({ payload }) => payload.at)).toEqual([record.at]);
  });

  test("is not stopped by an error that came before", async () => {
    const headers = { "idempotency-key": "invalid first" };
    expect((await post({ ...mail, from: "a@nowhere.example" }, headers)).status).toBe(422);
    await accepted(await post(mail, headers));
  });
});

describe("400", () => {
  test.each([
    ["no JSON", "{", []],
    ["no object", "[]", [""]],
    ["a million brackets", "[".repeat(1_000_000), []],
    ["a metadata key with an underscore first", { ...mail, metadata: { _id: "x" } }, ["metadata._id"]],
    ["no sender", { ...mail, from: undefined }, ["from"]],
    ["an address without a domain", { ...mail, to: ["ann", "bob@example.org"] }, ["to[0]"]],
    ["no recipient", { ...mail, to: [] }, ["to"]],
    ["a line break in the subject", { ...mail, subject: "a\r\nBcc: eve@example.org" }, ["subject"]],
    ["a line break in a header", { ...mail, headers: { "X-A": "b\nc" } }, ["headers.X-A"]],
    [
      "a header that Tyto writes",
      { ...mail, headers: { "DKIM-Signature": "x" } },
      ["headers.DKIM-Signature"],
    ],
    ["an unbreakable header", { ...mail, headers: { "X-A": "x".repeat(901) } }, ["headers.X-A"]],
    ["no text", { ...mail, text: undefined }, ["text"]],
    ["a field that is not known", { ...mail, body: "x" }, ["body"]],
    [
      "a file that is not base64",
      { ...mail, attachments: [{ filename: "a", content: "ä" }] },
      ["attachments[0].content"],
    ],
    [
      "a multipart file",
      { ...mail, attachments: [{ filename: "a", content: "", content_type: "multipart/mixed" }] },
      ["attachments[0].content_type"],
    ],
    [
      "51 recipients",
      {
        ...mail,
        to: Array.from({ length: 30 }, (_, i) => `t${i}@example.org`),
        bcc: Array.from({ length: 21 }, (_, i) => `b${i}@example.org`),
      },
      ["to"],
    ],
    ["31 days ahead", { ...mail, scheduled_at: "2027-02-16T08:00:00Z" }, ["scheduled_at"]],
  ])("%s", async (_, body, paths) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    const { code, errors = [], instance } = await problem(answer);
    expect(code).toBe("request.invalid");
    expect(errors.map(({ path }) => path)).toEqual(paths);
    expect(instance).toBe(answer.headers.get("x-request-id") ?? "none");
  });

  test("an Idempotency-Key that is too long", async () => {
    expect((await post(mail, { "idempotency-key": "k".repeat(257) })).status).toBe(400);
  });
});

test("400 says what is missing and what is of the wrong kind, in words of the API", async () => {
  const answer = await gateway.call("POST", "/v1/emails", { to: 7, subject: true, tags: "news" });
  expect(((await answer.json()) as { errors: unknown }).errors).toEqual([
    { path: "from", problem: "is missing" },
    { path: "to", problem: "must be text, not a number" },
    { path: "subject", problem: "must be text, not true or false" },
    { path: "tags", problem: "must be a list, not text" },
  ]);
});

test("401 without a key, with one that is not known, and with one that was removed", async () => {
  const bare = await gateway.request("/v1/emails", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(mail),
  });
  expect(bare.status).toBe(401);
  expect(bare.headers.get("www-authenticate")).toContain("Bearer");
  expect((await problem(bare)).code).toBe("request.unauthenticated");
  expect((await post(mail, { authorization: "Bearer tyto_unknown" })).status).toBe(401);
  expect((await post(mail, { authorization: "Basic dXNlcjpwYXNz" })).status).toBe(401);
});

test("403 names the scope that the key lacks", async () => {
  const key = await gateway.key("emails:read");
  const answer = await post(mail, { authorization: `Bearer ${key}` });
  expect(answer.status).toBe(403);
  expect((await problem(answer)).detail).toContain("emails:send");
});

test("413 for a body over the limit, with a length before it is read, without one as soon as it passes", async () => {
  const told = await post("{}", { "content-length": String(limits.requestBytesMax + 1) });
  expect(told.status).toBe(413);
  expect((await problem(told)).detail).toContain(String(limits.requestBytesMax));
  const untold = await post(" ".repeat(limits.requestBytesMax + 1));
  expect(untold.status).toBe(413);
});

test("415 for another type of body", async () => {
  const answer = await post("from=a", { "content-type": "application/x-www-form-urlencoded" });
  expect(answer.status).toBe(415);
  expect((await problem(answer)).code).toBe("request.unsupported-type");
});

test("422 for a sender whose domain is not set up, with what to do", async () => {
  const answer = await post({ ...mail, from: "a@nowhere.example" });
  expect(answer.status).toBe(422);
  const { code, detail } = await problem(answer);
  expect(code).toBe("domain.unknown");
  expect(detail).toContain("POST /v1/domains");
});

test("422 when every recipient is suppressed, and nothing is stored", async () => {
  const before = (await gateway.events()).length;
  const answer = await post({ ...mail, to: "gone@example.org" });
  expect(answer.status).toBe(422);
  expect((await problem(answer)).code).toBe("recipient.suppressed");
  expect(await gateway.events()).toHaveLength(before);
});

const bodies = rounds(75, 300);

test(`400 of ${bodies} random bodies never is a 500, and stores nothing that is not in order`, async () => {
  const random = seeded(7);
  const before = (await gateway.events()).length;
  let accepted = 0;
  for (let round = 0; round < bodies; round++) {
    const answer = await post(mutate(JSON.stringify(mail), random));
    expect([202, 400, 422]).toContain(answer.status);
    if (answer.status === 202) accepted++;
  }
  expect(await gateway.events()).toHaveLength(before + accepted);
});

/** Text with a few characters replaced, removed or doubled. */
function mutate(text: string, random: () => number): string {
  let mutated = text;
  for (let edits = 1 + Math.floor(random() * 3); edits > 0; edits--) {
    const at = Math.floor(random() * mutated.length);
    const kind = Math.floor(random() * 3);
    const replacement = String.fromCodePoint(
      [0, 10, 13, 34, 44, 58, 60, 64, 91, 92, 123, 125, 0xe4, 0xd800, 0x1f642][Math.floor(random() * 15)] ??
        0,
    );
    const rest = kind === 0 ? mutated.slice(at + 1) : mutated.slice(at);
    mutated = mutated.slice(0, at) + (kind === 1 ? "" : replacement) + (kind === 2 ? rest.slice(1) : rest);
  }
  return mutated;
}

/** A linear congruential generator (Numerical Recipes). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}
