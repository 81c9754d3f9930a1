import { expect, test } from "bun:test";
import { type MessageStatus, newMessageId } from "@tyto/contracts";
import { deliveryStatus, messageStatus, noMarks, noTally, timeOf, withOutcome } from "./message.ts";
import type { Marks, Tally } from "./shapes.ts";

/** Marks of the message, outcomes of its recipients → status. */
const table: [Partial<Marks>, Partial<Tally>, count: number, MessageStatus, scheduledAt?: number][] = [
  [{}, {}, 1, "accepted"],
  [{}, {}, 1, "scheduled", 1],
  [{ held: true }, {}, 1, "held"],
  [{ held: true, scanned: true }, {}, 1, "accepted"],
  [{ held: true, scanned: true }, {}, 1, "scheduled", 1],
  [{ refused: true }, {}, 1, "refused"],
  [{ held: true, refused: true }, {}, 1, "refused"],
  [{ cancelled: true }, {}, 1, "cancelled", 1],
  [{ cancelled: true, held: true }, {}, 1, "cancelled", 1],
  [{}, { deferred: 1 }, 1, "deferred"],
  [{}, { delivered: 1 }, 1, "delivered"],
  [{}, { bounced: 1 }, 1, "bounced"],
  [{}, { suppressed: 1 }, 1, "suppressed"],
  [{}, { delivered: 1 }, 1, "delivered", 1],
  [{}, { suppressed: 1 }, 2, "accepted"],
  [{ held: true }, { suppressed: 1 }, 2, "held"],
  [{}, { suppressed: 1 }, 2, "scheduled", 1],
  [{}, { delivered: 1 }, 2, "sending"],
  [{}, { deferred: 1 }, 2, "sending"],
  [{}, { delivered: 1, deferred: 1 }, 2, "deferred"],
  [{}, { delivered: 1, bounced: 1 }, 2, "partial"],
  [{}, { delivered: 1, suppressed: 1 }, 2, "partial"],
  [{}, { bounced: 1, suppressed: 1 }, 2, "partial"],
  [{}, { delivered: 2 }, 2, "delivered"],
  [{ refused: true }, { suppressed: 1 }, 2, "refused"],
  [{ cancelled: true }, { suppressed: 2 }, 2, "cancelled", 1],
  [{ cancelled: true }, { delivered: 1 }, 2, "partial", 1],
  [{ cancelled: true }, { delivered: 1 }, 1, "delivered", 1],
];

for (const [marks, tally, count, status, scheduledAt] of table)
  test(`${count} recipients, ${JSON.stringify({ ...marks, ...tally })}${scheduledAt ? " scheduled" : ""}: ${status}`, () => {
    expect(messageStatus({ ...noMarks, ...marks }, { ...noTally, ...tally }, count, scheduledAt)).toBe(
      status,
    );
  });

test("a recipient that waits stands as its message does, one that was tried by itself", () => {
  expect(deliveryStatus("waiting", "held")).toBe("held");
  expect(deliveryStatus("delivered", "cancelled")).toBe("delivered");
  expect(deliveryStatus("deferred", "cancelled")).toBe("cancelled");
  expect(deliveryStatus("deferred", "accepted")).toBe("deferred");
});

test("a tally keeps its sum when a recipient moves on", () => {
  const once = withOutcome(noTally, "waiting", "deferred");
  expect(once).toEqual({ ...noTally, deferred: 1 });
  expect(withOutcome(once, "deferred", "delivered")).toEqual({ ...noTally, delivered: 1 });
  expect(withOutcome(once, "deferred", "deferred")).toEqual(once);
});

test("the time of a message is in its id", () => {
  for (const time of [0, 1, 1_767_614_400_123, 2 ** 47]) expect(timeOf(newMessageId(time))).toBe(time);
});
