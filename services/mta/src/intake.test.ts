import { expect, test } from "bun:test";
import {
  type AcceptedMessage,
  Address,
  Domain,
  defaultOrganization,
  deliveryId,
  events,
  MessageId,
  type Payload,
  QueueEntry,
  suppressionKey,
} from "@tyto/contracts";
import type { Done } from "./deliver.ts";
import { intake } from "./intake.ts";
import type { PastOutcomes } from "./past.ts";

const nowMs = 1_790_000_000_000;
const message: AcceptedMessage = {
  id: "x",
  at: nowMs,
  organizationId: defaultOrganization,
  messageId: MessageId.parse("01jd4000000000000000000000"),
  messageIdHeader: "1@example.com",
  from: Address.parse("ann@example.com"),
  domain: Domain.parse("example.com"),
  subject: "hi",
  recipients: ["a@example.org", "b@example.org", "c@example.org"].map((address) => ({
    address: Address.parse(address),
    role: "to",
  })),
  bodyBytes: 10,
  bodyChunks: 1,
  attachments: 0,
  tags: [],
  metadata: {},
  expiresAt: nowMs + 1_000,
};

type Run = {
  suppressed?: string[];
  earlierUntil?: number;
  past?: PastOutcomes;
  /** What a first attempt past the queue comes to; one for each recipient. */
  atOnce?: Done[];
};

async function run(change: Partial<AcceptedMessage> = {}, given: Run = {}) {
  const queued: { entry: QueueEntry; atMs: number | undefined }[] = [];
  const told: Payload<"mail.suppressed">[] = [];
  const sent: string[] = [];
  const keys = new Set(given.suppressed?.map(suppressionKey));
  const arrival = given.earlierUntil === undefined ? {} : { earlierUntil: given.earlierUntil };
  const verdict = await intake({
    isSuppressed: async (key) => keys.has(key),
    publish: async (_subject, payload) => void told.push(payload),
    queue: async (entries, atMs) => void queued.push(...entries.map((entry) => ({ entry, atMs }))),
    async sendAtOnce(entries) {
      return entries.map(({ recipient }) => {
        sent.push(recipient);
        return given.atOnce?.shift() ?? "settled";
      });
    },
    past: async () => given.past ?? new Map(),
    now: () => nowMs,
  })({ ...message, ...change }, arrival);
  return {
    verdict,
    queued,
    told,
    sent,
    ends: queued.map(({ entry }) => `${entry.deliveryId.slice(-2)}.${entry.attempt}`),
  };
}

test("each recipient gets an entry of its own", async () => {
  const { verdict, queued } = await run({}, { earlierUntil: 7 });
  expect(verdict).toEqual({ kind: "done" });
  expect(queued.map(({ entry: { deliveryId, recipient } }) => `${deliveryId} ${recipient}`)).toEqual([
    `${message.messageId}-0 a@example.org`,
    `${message.messageId}-1 b@example.org`,
    `${message.messageId}-2 c@example.org`,
  ]);
  for (const { entry } of queued) expect(() => QueueEntry.parse(entry)).not.toThrow();
});

test("what is sent at once is not put into the queue", async () => {
  const { sent, queued, verdict } = await run();
  expect(sent).toEqual(["a@example.org", "b@example.org", "c@example.org"]);
  expect([queued, verdict.kind]).toEqual([[], "done"]);
});

test("a stop in the middle gives the whole message back", async () => {
  const { verdict, queued } = await run({}, { atOnce: ["settled", "interrupted", "settled"] });
  expect([verdict.kind, queued.length]).toEqual(["retry", 0]);
});

test("a message that may have been here before is never sent at once; recipients with an outcome are left alone", async () => {
  const past = new Map([[deliveryId(message.messageId, 1), { attempt: 1 }]]);
  for (const [change, given] of [
    [{}, { past, earlierUntil: 7 }],
    [{ isRepeat: true }, { past }],
  ] as const) {
    const { sent, ends } = await run(change, given);
    expect([sent, ends]).toEqual([[], ["-0.1", "-2.1"]]);
  }
});

test("a first attempt that failed before a crash gets its second; a later one is left alone", async () => {
  const past = new Map([
    [deliveryId(message.messageId, 0), { attempt: 1, nextAttemptAt: nowMs + 5 }],
    [deliveryId(message.messageId, 1), { attempt: 2, nextAttemptAt: nowMs + 9 }],
  ]);
  const { queued, ends } = await run({}, { past, earlierUntil: 7 });
  expect([ends, queued[0]?.atMs]).toEqual([["-0.2", "-2.1"], nowMs + 5]);
});

test("suppressed recipients are told and not sent; the others keep their place", async () => {
  const { told, sent } = await run({}, { suppressed: ["B@example.org"] });
  expect(sent).toEqual(["a@example.org", "c@example.org"]);
  expect(told.map(({ id }) => id)).toEqual([`${message.messageId}-1.1.suppressed`]);
  expect(() => events["mail.suppressed"].parse(told[0])).not.toThrow();
});

test("with every recipient suppressed nothing is queued", async () => {
  const { queued, told } = await run({}, { suppressed: ["a@example.org", "b@example.org", "c@example.org"] });
  expect([queued.length, told.length]).toEqual([0, 3]);
});

test("a message for later waits in the queue; so does one whose time has passed, for it may be cancelled", async () => {
  const later = await run({ scheduledAt: nowMs + 5_000 });
  expect([later.sent, later.queued[0]?.atMs]).toEqual([[], nowMs + 5_000]);
  const passed = await run({ scheduledAt: nowMs - 1 });
  expect([passed.sent, passed.queued[0]?.atMs]).toEqual([[], undefined]);
});
