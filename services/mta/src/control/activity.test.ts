import { expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId } from "@tyto/contracts";
import { createActivity } from "./activity.ts";

test("what a rule gave up says so beside the server's reply", () => {
  const activity = createActivity(() => 1_000);
  const words = "given up by the rule never: No use";
  activity.see(
    {
      ...{ atMs: 1_000, site: { id: "google" }, egress: { id: "mail1" } },
      entry: {
        deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
        messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
        organizationId: defaultOrganization,
        ...{ recipient: Address.parse("bob@example.net"), attempt: 1 },
      },
      ...{ outcome: "bounced", reason: "policy.refused", reply: { code: 451, text: "never" } },
      ...{ explanation: words, madeBy: "rule" },
    },
    words,
  );
  expect(activity.replies("google").map(({ reply }) => reply)).toEqual([`451 never (${words})`]);
});
