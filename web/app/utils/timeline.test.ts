import { expect, test } from "bun:test";
import { subjects } from "@tyto/contracts";
import { factsOf, isKnownEvent, type TimelineEvent, timelineRows } from "./timeline.ts";

const event = (subject: string, at: number, recipient?: string): TimelineEvent => ({
  eventId: `${subject}-${at}`,
  subject,
  at,
  ...(recipient === undefined ? {} : { recipient }),
});

const events = [
  event("mail.delivered", 1_900, "ann@example.org"),
  event("mail.accepted", 1_000),
  event("mail.bounced", 2_500, "bo@example.org"),
];

test("rows stand in order of time with the span since the row above", () => {
  expect(timelineRows(events).map((row) => [row.subject, row.deltaMs])).toEqual([
    ["mail.accepted", undefined],
    ["mail.delivered", 900],
    ["mail.bounced", 600],
  ]);
});

test("one recipient's rows keep what happened to the whole message, with spans of their own", () => {
  expect(timelineRows(events, "bo@example.org").map((row) => [row.subject, row.deltaMs])).toEqual([
    ["mail.accepted", undefined],
    ["mail.bounced", 1_500],
  ]);
});

test("our own words do not pass for the other server's reply", () => {
  const deferred = (reply: string): TimelineEvent => ({
    ...event("mail.deferred", 1_000, "ann@example.org"),
    reply,
    detail: { reason: "network.unreachable", explanation: "no connection" },
  });
  expect(timelineRows([deferred("no connection")])[0]).toMatchObject({
    reply: undefined,
    explanation: "no connection",
    reason: "network.unreachable",
  });
  expect(timelineRows([deferred("421 4.3.2 Shutting down")])[0]?.reply).toBe("421 4.3.2 Shutting down");
});

test("every event of a message has words and a look", () => {
  const ofMessages = subjects.filter((subject) => subject.startsWith("mail.") && subject !== "mail.received");
  expect(ofMessages.filter((subject) => !isKnownEvent(subject))).toEqual([]);
});

test("the facts of a delivery name server, encryption and signatures", () => {
  const facts = factsOf({
    attempt: 2,
    conversation: {
      mx: "mx1.example.org",
      ip: "192.0.2.7",
      tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", authorized: true },
      reused: false,
      durationMs: 83.2,
    },
    dkim: [{ domain: "example.com", selector: "t1", algorithm: "rsa-sha256" }],
  });
  expect(Object.fromEntries(facts.map((fact) => [fact.name, fact.value]))).toEqual({
    attempt: "2",
    mx: "mx1.example.org",
    ip: "192.0.2.7",
    tls: "TLSv1.3 · TLS_AES_256_GCM_SHA384",
    dkim: "t1._domainkey.example.com (rsa-sha256)",
    took: "83 ms",
  });
});

test("an unencrypted connection is said in words", () => {
  expect(factsOf({ conversation: { tls: null } })).toEqual([
    { name: "tls", value: "none", key: "fact.tlsNone" },
  ]);
});

test("what a recipient answered, complained of or wished is told in words, and strange values as they are", () => {
  const replied = { ...event("mail.replied", 1), detail: { from: "Bob <bob@example.org>", text: "Thanks!" } };
  expect(timelineRows([replied])[0]).toMatchObject({
    quote: "Thanks!",
    facts: [{ name: "from", value: "Bob <bob@example.org>" }],
  });
  expect(factsOf({ feedback: "abuse", reporter: "provider.test" })).toEqual([
    { name: "feedback", value: "abuse", key: "bounce.feedback.abuse" },
    { name: "reporter", value: "provider.test" },
  ]);
  expect(factsOf({ method: "one-click" })).toEqual([
    { name: "method", value: "one-click", key: "bounce.method.one-click" },
  ]);
  expect(factsOf({ feedback: "strange", method: "toString" })).toEqual([
    { name: "feedback", value: "strange" },
    { name: "method", value: "toString" },
  ]);
});

test("only a bounce that is surely for good and the recipient's own doing says that the address is suppressed", () => {
  const sure = { hard: true, confidence: 1, fault: "recipient" };
  const suppressesBy = (name: string, detail: unknown) =>
    timelineRows([{ ...event(name, 1), detail }])[0]?.suppresses;
  expect(suppressesBy("mail.bounced", sure)).toBe(true);
  expect(suppressesBy("mail.deferred", sure)).toBe(false);
  for (const other of [{ hard: false }, { confidence: 0.5 }, { fault: "policy" }, { confidence: undefined }])
    expect(suppressesBy("mail.bounced", { ...sure, ...other })).toBe(false);
  expect(suppressesBy("mail.bounced", undefined)).toBe(false);
});

test("a detail of any other shape has no facts", () => {
  for (const detail of [undefined, null, 7, "x", [], {}, { conversation: 3, dkim: "x", attempt: "1" }])
    expect(factsOf(detail)).toEqual([]);
});
