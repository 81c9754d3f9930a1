import { expect, test } from "bun:test";
import {
  Address,
  Domain,
  defaultOrganization,
  deliveryId,
  MessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { type Away, together } from "./together.ts";

const messageId = MessageId.parse("01jd4000000000000000000000");
const entry = (index: number, change: Partial<QueueEntry> = {}): QueueEntry => ({
  ...{ deliveryId: deliveryId(messageId, index), messageId, organizationId: defaultOrganization },
  recipient: Address.parse(`u${index}@example.org`),
  from: Address.parse("ann@example.com"),
  domain: Domain.parse("example.com"),
  ...{ attempt: 1, bodyBytes: 10, bodyChunks: 1, recipients: 4, acceptedAt: 0, expiresAt: 1_000 },
  ...change,
});
const away: Away = { kind: "wait", untilMs: 500, why: "far", isBooked: true, site: { id: "mx", hosts: [] } };

/** What was done with each entry, when the first of a line hears `found`. */
async function run(entries: QueueEntry[], found: "away" | "admitted" | "ended" | "broken") {
  const open = Promise.withResolvers<void>();
  const ends = together<string>(entries, {
    async lead(_entry, { count, admit, sendAway }) {
      if (found === "away") sendAway(away);
      if (found === "admitted") {
        admit();
        // It takes its time, and nobody waits for it.
        await open.promise;
      }
      if (found === "broken") throw new Error("broken");
      return `lead of ${count}`;
    },
    follow: async (_entry, { untilMs }) => `follow to ${untilMs}`,
    alone: async () => "alone",
  });
  const others = await Promise.allSettled(ends.slice(1));
  open.resolve();
  const [first] = await Promise.allSettled(ends);
  return [first, ...others].map((end) =>
    end?.status === "fulfilled" ? end.value : `threw ${end?.reason.message}`,
  );
}
const three = [0, 1, 2].map((index) => entry(index));

test("the others go where the first one is sent", async () => {
  expect(await run(three, "away")).toEqual(["lead of 2", "follow to 500", "follow to 500"]);
});

test("when the first has its turn the others try at once, without waiting for its end", async () => {
  expect(await run(three, "admitted")).toEqual(["lead of 2", "alone", "alone"]);
});

test("what ends the first in another way, or breaks it, says nothing about the others", async () => {
  expect(await run(three, "ended")).toEqual(["lead of 2", "alone", "alone"]);
  expect(await run(three, "broken")).toEqual(["threw broken", "alone", "alone"]);
});

test.each([
  ["another campaign", { campaign: "spring" }],
  ["other traffic", { traffic: "bulk" }],
  ["another domain of the recipient", { recipient: Address.parse("u@example.net") }],
  ["another signing domain", { domain: Domain.parse("other.example.com") }],
  ["a pool that an operator named", { pool: "slow" }],
  ["TLS of its own", { requireTls: true }],
] as const)("%s stands in a line of its own", async (_what, change) => {
  expect(await run([entry(0), entry(1), entry(2, change)], "away")).toEqual([
    "lead of 1",
    "follow to 500",
    "alone",
  ]);
});

test("one that is alone waits for nobody", async () => {
  expect(await run([entry(0)], "away")).toEqual(["alone"]);
});
