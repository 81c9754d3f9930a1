import { expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId } from "@tyto/contracts";
import { createActivity } from "./activity.ts";

const entry = {
  deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
  messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
  organizationId: defaultOrganization,
  ...{ recipient: Address.parse("bob@example.net"), attempt: 1 },
};

test("what a rule gave up says so beside the server's reply", () => {
  const activity = createActivity(() => 1_000);
  const words = "given up by the rule never: No use";
  activity.see(
    {
      ...{ atMs: 1_000, site: { id: "google" }, egress: { id: "mail1" } },
      entry,
      ...{ outcome: "bounced", reason: "policy.refused", reply: { code: 451, text: "never" } },
      ...{ explanation: words, madeBy: "rule" },
    },
    words,
  );
  expect(activity.replies("google").map(({ reply }) => reply)).toEqual([`451 never (${words})`]);
});

test("what ended in DNS is told as the domain's own, equal ends counted, and makes no site of it", () => {
  const activity = createActivity(() => 3_000);
  const end = {
    entry,
    outcome: "deferred",
    reason: "network.dns",
    explanation: "no answer from DNS",
  } as const;
  activity.seeNowhere({ ...end, atMs: 1_000 });
  activity.seeNowhere({ ...end, atMs: 2_000 });
  activity.seeNowhere({
    ...end,
    atMs: 2_500,
    outcome: "bounced",
    reason: "expired",
    explanation: "too late",
  });
  expect(activity.replies("example.net")).toEqual([
    {
      atMs: 2_500,
      outcome: "bounced",
      reason: "expired",
      reply: "too late",
      domain: "example.net",
      times: 1,
    },
    {
      ...{ atMs: 2_000, outcome: "deferred", reason: "network.dns", reply: "no answer from DNS" },
      ...{ domain: "example.net", times: 2 },
    },
  ]);
  expect(activity.sites()).toEqual([]);
  expect(activity.siteOf("example.net")).toBeUndefined();
});
