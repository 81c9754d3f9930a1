import { expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { deliveryId, MessageId, type StoredEvent } from "@tyto/contracts";
import { createPast } from "./past.ts";

const [one, two] = ["01jd4000000000000000000001", "01jd4000000000000000000002"].map((id) =>
  MessageId.parse(id),
);
if (one === undefined || two === undefined) throw new Error("there are two");

const event = (subject: string, messageId: MessageId, more: Record<string, unknown> = {}) =>
  ({
    subject,
    payload: { messageId, deliveryId: deliveryId(messageId, 0), ...more },
  }) as unknown as StoredEvent;

function pastOf(stored: readonly StoredEvent[]) {
  const ranges: { sinceMs: number; untilSequence: number }[] = [];
  const read = (async (_subjects, range, onEvent) => {
    ranges.push(range);
    for (const one of stored) onEvent(one as never);
  }) as Bus["past"];
  return { ranges, past: createPast(read) };
}

test("the outcome that counts is the final one of the latest attempt", async () => {
  const { past } = pastOf([
    event("mail.delivered", one, { attempt: 2 }),
    event("mail.deferred", one, { attempt: 1, nextAttemptAt: 5 }),
    event("mail.deferred", one, { attempt: 2, nextAttemptAt: 9 }),
    event("mail.deferred", two, { attempt: 1, nextAttemptAt: 5 }),
  ]);
  expect([...(await past({ messageId: one, at: 100_000 }, 7)).values()]).toEqual([{ attempt: 2 }]);
  expect([...(await past({ messageId: two, at: 100_000 }, 7)).values()]).toEqual([
    { attempt: 1, nextAttemptAt: 5 },
  ]);
});

test("a suppressed recipient is over; a report that came back later says nothing about attempts", async () => {
  const { past } = pastOf([event("mail.suppressed", one), event("mail.bounced", two, { source: "dsn" })]);
  expect([...(await past({ messageId: one, at: 0 }, 7)).values()]).toEqual([{ attempt: 1 }]);
  expect((await past({ messageId: two, at: 0 }, 7)).size).toBe(0);
});

test("questions asked together share one look, from a minute before the oldest message", async () => {
  const { past, ranges } = pastOf([]);
  await Promise.all([past({ messageId: one, at: 100_000 }, 7), past({ messageId: two, at: 90_000 }, 9)]);
  expect(ranges).toEqual([{ sinceMs: 30_000, untilSequence: 9 }]);
});

test("a look that fails is told to all who asked, and the next question looks again", async () => {
  let fails = true;
  const past = createPast(async () => {
    if (fails) throw new Error("away");
  });
  const asked = [past({ messageId: one, at: 0 }, 1), past({ messageId: two, at: 0 }, 1)];
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  fails = false;
  expect((await past({ messageId: one, at: 0 }, 1)).size).toBe(0);
});
