import { expect, test } from "bun:test";
import {
  type AcceptedMessage,
  Address,
  Domain,
  defaultOrganization,
  events,
  MessageId,
  type Payload,
  QueueEntry,
  suppressionKey,
} from "@tyto/contracts";
import { intake } from "./intake.ts";

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

async function run(change: Partial<AcceptedMessage> = {}, suppressed: string[] = []) {
  const queued: { entries: readonly QueueEntry[]; notBeforeMs: number | undefined }[] = [];
  const told: Payload<"mail.suppressed">[] = [];
  const keys = new Set(suppressed.map(suppressionKey));
  const verdict = await intake({
    isSuppressed: async (key) => keys.has(key),
    publish: async (_subject, payload) => void told.push(payload),
    queue: async (entries, notBeforeMs) => void queued.push({ entries, notBeforeMs }),
    now: () => nowMs,
  })({ ...message, ...change });
  return { verdict, queued, told };
}

test("each recipient gets an entry of its own, all at once", async () => {
  const { verdict, queued } = await run();
  expect(verdict).toEqual({ kind: "done" });
  expect(queued).toHaveLength(1);
  expect(queued[0]?.entries.map(({ deliveryId, recipient }) => `${deliveryId} ${recipient}`)).toEqual([
    `${message.messageId}-0 a@example.org`,
    `${message.messageId}-1 b@example.org`,
    `${message.messageId}-2 c@example.org`,
  ]);
  for (const entry of queued[0]?.entries ?? []) expect(() => QueueEntry.parse(entry)).not.toThrow();
});

test("suppressed recipients are told and not queued; the others keep their place", async () => {
  const { queued, told } = await run({}, ["B@example.org"]);
  expect(queued[0]?.entries.map(({ deliveryId }) => deliveryId.slice(-2))).toEqual(["-0", "-2"]);
  expect(told.map(({ id }) => id)).toEqual([`${message.messageId}-1.1.suppressed`]);
  expect(() => events["mail.suppressed"].parse(told[0])).not.toThrow();
});

test("with every recipient suppressed nothing is queued", async () => {
  const { queued, told } = await run({}, ["a@example.org", "b@example.org", "c@example.org"]);
  expect([queued.length, told.length]).toEqual([0, 3]);
});

test("a message for later waits; one whose time has passed does not", async () => {
  expect((await run({ scheduledAt: nowMs + 5_000 })).queued[0]).toMatchObject({ notBeforeMs: nowMs + 5_000 });
  expect((await run({ scheduledAt: nowMs - 1 })).queued[0]?.notBeforeMs).toBeUndefined();
});
