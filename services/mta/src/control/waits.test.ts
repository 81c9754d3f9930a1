import { expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId, phrase, readPhrases } from "@tyto/contracts";
import type { Wayless } from "../observation.ts";
import { createWaits } from "./waits.ts";

const entry = {
  deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
  messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
  organizationId: defaultOrganization,
  ...{ recipient: Address.parse("bob@Example.net"), attempt: 1 },
};
const end: Wayless = { atMs: 5, entry, outcome: "deferred", reason: "greylisted" };
const at = { site: { id: "mx.example.net" }, egress: { id: "mail1" } };

test("what a server put off is told with its words, a domain that DNS does not tell of with ours", () => {
  const waits = createWaits(() => 9);
  waits.see({ ...end, ...at, reply: { code: 451, text: "4.7.1 Greylisted,\n come again" } });
  const explanation = phrase("path.dns", { domain: "example.net", error: "SERVFAIL" });
  waits.seeNowhere({ ...end, reason: "network.dns", explanation });
  expect(waits.list(10)).toEqual([
    {
      ...{ place: "mx.example.net", atMs: 5 },
      why: "the last one was put off: The receiver asks unknown senders to try again (451 4.7.1 Greylisted, come again)",
    },
    {
      ...{ place: "example.net", atMs: 5 },
      why: "there is no way yet: DNS did not tell about example.net: SERVFAIL",
    },
  ]);
  expect(waits.list(10).map(({ why }) => readPhrases(why))).toMatchObject([
    { kind: "wait.put-off", values: { why: { kind: "answered" } } },
    { kind: "wait.no-way", values: { why: { kind: "path.dns" } } },
  ]);
});

test("what had to wait for its turn says for what, in a sentence that pages read back", () => {
  const waits = createWaits(() => 9);
  const rate = `google: ${phrase("rate.minute", { count: 100 })}`;
  waits.seeAway("google", rate);
  const share = phrase("warming.spread", { out: 3, max: 7 });
  waits.seeAway("yahoo", phrase("of-egress", { egress: "mail1", why: share }));
  expect(waits.of("google")).toEqual({
    ...{ place: "google", atMs: 9 },
    why: "it waits for its turn: google: at most 100 messages per minute",
  });
  expect(waits.list(10).map(({ why }) => readPhrases(why))).toMatchObject([
    { kind: "wait.turn", values: { why: { kind: "of-egress", values: { why: { kind: "rate.minute" } } } } },
    { kind: "wait.turn", values: { why: { values: { why: { kind: "warming.spread" } } } } },
  ]);
});

test("what came to an end makes nothing wait, and the newest word counts", () => {
  let nowMs = 10;
  const waits = createWaits(() => nowMs);
  waits.see({ ...end, ...at, outcome: "delivered" });
  waits.see({ ...end, ...at, outcome: "bounced", reason: "mailbox.unknown" });
  waits.seeNowhere({ ...end, outcome: "bounced", reason: "expired" });
  expect(waits.list(10)).toEqual([]);
  expect(waits.of("mx.example.net")).toBeUndefined();
  waits.seeAway("one", "a");
  nowMs = 20;
  waits.seeAway("two", "b");
  nowMs = 30;
  waits.seeAway("one", "c");
  expect(waits.list(1)).toEqual([{ place: "one", why: "it waits for its turn: c", atMs: 30 }]);
});

test("what is remembered is bounded", () => {
  const waits = createWaits(() => 1);
  for (let place = 0; place < 5_100; place++) waits.seeAway(`mx${place}.example`, "x".repeat(700));
  expect(waits.list(10_000)).toHaveLength(5_000);
  expect(waits.of("mx0.example")).toBeUndefined();
  expect(waits.of("mx5099.example")?.why.length).toBeLessThanOrEqual(500);
});
