import { expect, test } from "bun:test";
import {
  Address,
  AttemptMark,
  type Conversation,
  Domain,
  defaultOrganization,
  deliveryId,
  events,
  MessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { type Outcome, settle } from "./outcome.ts";

const messageId = MessageId.parse("01jd4000000000000000000000");
const nowMs = 1_790_000_000_000;
const dayMs = 86_400_000;
const entry: QueueEntry = {
  deliveryId: deliveryId(messageId, 0),
  messageId,
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@example.org"),
  from: Address.parse("ann@example.com"),
  domain: Domain.parse("example.com"),
  attempt: 2,
  bodyBytes: 100,
  bodyChunks: 1,
  recipients: 1,
  acceptedAt: nowMs - 1_000,
  expiresAt: nowMs + 5 * dayMs,
};
const conversation: Conversation = {
  mx: "mx.example.org",
  ip: "192.0.2.1",
  tls: null,
  reused: false,
  durationMs: 12,
};
const refused = (code: number, text: string, enhanced?: string): Outcome => ({
  kind: "refused",
  reply: { code, text, ...(enhanced === undefined ? {} : { enhanced }) },
  conversation,
});
const failed = (isPermanent: boolean, more: Partial<Extract<Outcome, { kind: "failed" }>> = {}): Outcome => ({
  kind: "failed",
  isPermanent,
  reason: isPermanent ? "domain.unknown" : "network.unreachable",
  explanation: "words",
  isInDoubt: false,
  ...more,
});
const delivered: Outcome = {
  kind: "delivered",
  reply: { code: 250, text: "queued" },
  conversation,
  dkim: [{ domain: entry.domain, selector: "tyto1r", algorithm: "rsa-sha256" }],
  returnPath: Address.parse("b-x@bounces.example.com"),
};

test("a rule can make the last attempt of one that could be repeated; that is nobody's hard bounce", () => {
  const giveUp = (reason: string) => (reason === "rate.limited" ? "given up by the rule x" : undefined);
  const limited = settle(entry, refused(421, "too many messages"), clock, giveUp);
  expect(limited.next).toBeUndefined();
  expect(limited.mark).toMatchObject({
    final: true,
    event: {
      subject: "mail.bounced",
      payload: {
        reason: "rate.limited",
        hard: false,
        explanation: "given up by the rule x",
        reply: { code: 421 },
      },
    },
  });
  expect(settle(entry, refused(451, "greylisted"), clock, giveUp).next).toBeDefined();
});

test("a recipient that has waited for four hours gets one notice of delay, from its time on", () => {
  const settled = (more: Partial<QueueEntry>, delayNoticeMs?: number) => {
    const { mark, next } = settle({ ...entry, ...more }, refused(451, "later"), { ...clock, delayNoticeMs });
    return [(mark.event.payload as { isDelayNotice?: true }).isDelayNotice, next?.entry.isDelayTold];
  };
  const fourHoursMs = 4 * 3_600_000;
  expect(settled({ acceptedAt: nowMs - fourHoursMs + 1 })).toEqual([undefined, undefined]);
  expect(settled({ acceptedAt: nowMs - fourHoursMs })).toEqual([true, true]);
  expect(settled({ acceptedAt: nowMs - 2 * fourHoursMs, isDelayTold: true })).toEqual([undefined, true]);
  expect(settled({ acceptedAt: 0, scheduledAt: nowMs - 1_000 })).toEqual([undefined, undefined]);
  expect(settled({ acceptedAt: nowMs - 60_000 }, 60_000)).toEqual([true, true]);
});

const clock = { nowMs, random: () => 0.5, firstWaitMs: 300_000 };
const settled = (outcome: Outcome, change: Partial<QueueEntry> = {}) =>
  settle({ ...entry, ...change }, outcome, clock);

test.each<[string, Outcome, string, boolean, Record<string, unknown>]>([
  ["a 2xx after the final dot", delivered, "mail.delivered", true, { reply: { code: 250, text: "queued" } }],
  [
    "a 550 5.1.1",
    refused(550, "no such user", "5.1.1"),
    "mail.bounced",
    true,
    { reason: "mailbox.unknown", fault: "recipient", hard: true, remoteMta: "mx.example.org" },
  ],
  [
    "a 552 5.2.2",
    refused(552, "mailbox full", "5.2.2"),
    "mail.bounced",
    true,
    { reason: "mailbox.full", hard: false },
  ],
  ["a 451 greylist", refused(451, "Greylisted", "4.7.1"), "mail.deferred", false, { reason: "greylisted" }],
  ["a 503 for a lost session", refused(503, "bad sequence of commands"), "mail.deferred", false, {}],
  ["a 354 where none belongs", refused(354, "go on"), "mail.deferred", false, {}],
  [
    "an unreachable server",
    failed(false),
    "mail.deferred",
    false,
    { reason: "network.unreachable", explanation: "words" },
  ],
  [
    "an absent domain",
    failed(true),
    "mail.bounced",
    true,
    { reason: "domain.unknown", fault: "recipient", hard: true, confidence: 1 },
  ],
  ["a suppressed recipient", { kind: "suppressed" }, "mail.suppressed", true, {}],
  [
    "an entry past its time",
    { kind: "expired" },
    "mail.bounced",
    true,
    { reason: "expired", fault: "network", hard: false },
  ],
])("%s gives %s", (_what, outcome, subject, isFinal, expected) => {
  const { mark, next } = settled(outcome);
  expect(mark).toMatchObject({ attempt: 2, final: isFinal, event: { subject, payload: expected } });
  expect(next === undefined).toBe(isFinal);
});

test("every settlement keeps the contracts of its event and its mark", () => {
  for (const outcome of [
    delivered,
    refused(550, "x".repeat(2_000)),
    refused(450, ""),
    failed(false, { explanation: "x".repeat(900) }),
    { kind: "expired" } as const,
    { kind: "suppressed" } as const,
  ]) {
    const { mark } = settled(outcome);
    expect(() => events[mark.event.subject].parse(mark.event.payload)).not.toThrow();
    expect(() => AttemptMark.parse(mark)).not.toThrow();
  }
});

test("the id of an event says delivery, attempt and verb, and nothing that changes", () => {
  expect(settled(delivered).mark.event.payload.id).toBe(`${entry.deliveryId}.2.delivered`);
  expect(settled(refused(451, "later")).mark.event.payload.id).toBe(`${entry.deliveryId}.2.deferred`);
});

test("a deferral queues the next attempt for the time it tells", () => {
  const { mark, next } = settled(failed(false));
  expect(next).toEqual({
    entry: { ...entry, attempt: 3, lastReason: "network.unreachable" },
    atMs: nowMs + 600_000,
  });
  expect(mark.event.payload).toMatchObject({ nextAttemptAt: nowMs + 600_000 });
});

test("a deferral beyond the message's time is its end, with the last answer told", () => {
  const { mark, next } = settled(refused(451, "try again later"), { expiresAt: nowMs + 500_000 });
  expect(next).toBeUndefined();
  expect(mark.event).toMatchObject({
    subject: "mail.bounced",
    payload: {
      reason: "expired",
      fault: "network",
      reply: { code: 451 },
      explanation: expect.stringContaining("2 attempts"),
    },
  });
});
