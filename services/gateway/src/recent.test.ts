import { expect, test } from "bun:test";
import {
  Address,
  Domain,
  defaultOrganization,
  deliveryId,
  MessageId,
  newMessageId,
  type Payload,
} from "@tyto/contracts";
import { createRecent } from "./recent.ts";

const nowMs = 1_790_000_000_000;
const message = (recipients = 1, at = nowMs): Payload<"mail.accepted"> => {
  const messageId = MessageId.parse(newMessageId(at));
  return {
    id: `${messageId}.accepted`,
    at,
    organizationId: defaultOrganization,
    messageId,
    messageIdHeader: "1@example.com",
    from: Address.parse("ann@example.com"),
    domain: Domain.parse("example.com"),
    subject: "Grüße",
    recipients: Array.from({ length: recipients }, (_, index) => ({
      address: Address.parse(`u${index}@example.org`),
      role: "to",
    })),
    bodyBytes: 10,
    bodyChunks: 1,
    attachments: 0,
    tags: ["order"],
    metadata: { order: "4711" },
    expiresAt: at + 1_000,
  };
};

test("a message is found as it was accepted, with those who were suppressed", () => {
  const recent = createRecent(() => nowMs);
  const accepted = { ...message(2), scheduledAt: nowMs + 60_000 };
  const { messageId } = accepted;
  const id = deliveryId(messageId, 2);
  recent.add(accepted, [
    {
      ...{ id: `${id}.suppressed`, at: nowMs + 1, organizationId: defaultOrganization, messageId },
      ...{ deliveryId: id, recipient: Address.parse("bob@example.org"), role: "cc" },
    },
  ]);
  const found = recent.find(messageId);
  expect(found).toMatchObject({
    ...{ id: messageId, status: "scheduled", from: "ann@example.com", subject: "Grüße" },
    ...{ tags: ["order"], metadata: { order: "4711" } },
    scheduled_at: new Date(nowMs + 60_000).toISOString(),
  });
  expect(found?.recipients).toEqual([
    { address: "u0@example.org", role: "to", status: "scheduled", attempts: 0 },
    { address: "u1@example.org", role: "to", status: "scheduled", attempts: 0 },
    { address: "bob@example.org", role: "cc", status: "suppressed", attempts: 0 },
  ]);
  expect(found?.timeline.map(({ event }) => event)).toEqual(["mail.accepted", "mail.suppressed"]);
});

test("many recipients take as much room as many messages: the oldest give way", () => {
  const recent = createRecent(() => nowMs, 20_000);
  const small = Array.from({ length: 20 }, () => message());
  for (const one of small) recent.add(one, []);
  expect(small.filter(({ messageId }) => recent.find(messageId) !== undefined)).toHaveLength(20);
  const large = message(400);
  recent.add(large, []);
  expect(recent.find(large.messageId)?.recipients).toHaveLength(400);
  const left = small.filter(({ messageId }) => recent.find(messageId) !== undefined);
  expect(left.length).toBeLessThan(20);
  expect(left).toEqual(small.slice(-left.length));
});

test("a message that is stored again counts once, and what is old is forgotten", () => {
  let now = nowMs;
  const recent = createRecent(() => now, 10_000);
  const [first, second] = [message(100), message(100)];
  for (let times = 0; times < 5; times++) recent.add(first, []);
  expect(recent.find(first.messageId)?.recipients).toHaveLength(100);
  now += 16 * 60_000;
  recent.add({ ...second, at: now }, []);
  expect(recent.find(first.messageId)).toBeUndefined();
});
