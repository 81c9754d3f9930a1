import { expect, test } from "bun:test";
import type { Reason } from "@tyto/contracts";
import { parseReply } from "@tyto/mail";
import { type Sign, signOf } from "./sign.ts";

test.each<[Sign, "deferred" | "bounced", Reason, string | undefined]>([
  ["much", "deferred", "rate.limited", "421 4.7.28 too many messages"],
  ["much", "deferred", "reputation.listed", "450 4.7.1 listed"],
  ["much", "bounced", "reputation.listed", "554 5.7.1 listed"],
  ["much", "deferred", "policy.refused", "451 4.7.1 not now"],
  ["much", "deferred", "content.refused", "451 4.7.1 looks like spam"],
  ["busy", "deferred", "receiver.busy", "421 Service not available"],
  ["busy", "deferred", "receiver.busy", "452 4.3.1 Insufficient system storage"],
  ["busy", "deferred", "protocol.error", "503 5.5.1 Bad sequence"],
  ["away", "deferred", "network.unreachable", undefined],
  ["away", "deferred", "network.tls", undefined],
  // About one recipient, one sender or one message.
  ["alive", "deferred", "receiver.busy", "451 Temporary local problem"],
  ["alive", "deferred", "receiver.busy", "450 4.1.1 address verification in progress"],
  ["alive", "deferred", "greylisted", "450 4.2.0 Greylisted"],
  ["alive", "deferred", "mailbox.full", "452 4.2.2 over quota"],
  ["alive", "deferred", "rate.limited", "450 4.2.1 receiving mail at a rate that prevents more"],
  ["alive", "deferred", "rate.limited", "452 4.5.3 Too many recipients"],
  ["alive", "bounced", "mailbox.unknown", "550 5.1.1 unknown"],
  ["alive", "bounced", "policy.refused", "550 5.7.1 refused"],
  ["alive", "bounced", "content.refused", "554 5.7.1 spam"],
  ["alive", "deferred", "sender.unauthenticated", "451 4.7.26 SPF"],
  // Nobody was asked.
  ["none", "deferred", "network.dns", undefined],
  ["none", "deferred", "local.trouble", undefined],
  ["none", "deferred", "sender.unsigned", undefined],
  ["none", "bounced", "expired", undefined],
])("%p: %s by %s, %p", (sign, outcome, reason, raw) => {
  const reply = raw === undefined ? undefined : parseReply(raw);
  expect(signOf({ outcome, reason, ...(reply === undefined ? {} : { reply }) })).toBe(sign);
});

test("what a rule gave up was put off by the server, which wants less", () => {
  const reply = { code: 451, enhanced: "4.7.1", text: "not now" };
  const refused = { outcome: "bounced", reason: "policy.refused", reply } as const;
  expect(signOf({ ...refused, madeBy: "rule" })).toBe("much");
  expect(signOf(refused)).toBe("alive");
});
