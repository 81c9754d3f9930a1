import { expect, test } from "bun:test";
import { aboutMessage, fieldName, inboundKindOf, readableText } from "./inbound.ts";

test("a kind in a page's address is one that there is, or none", () => {
  expect([inboundKindOf("reply"), inboundKindOf("toString"), inboundKindOf("")]).toEqual([
    "reply",
    undefined,
    undefined,
  ]);
});

test("what a report is about is the message, or that of the delivery", () => {
  const id = "01ks2m8h3nvbx7r3c1yq0w9d4t";
  expect(aboutMessage({ messageId: id })).toBe(id);
  expect(aboutMessage({ deliveryId: `${id}-3` })).toBe(id);
  expect(aboutMessage({})).toBeUndefined();
});

test("text that turns its direction or controls a terminal is read plainly", () => {
  expect(readableText("in\u202egpj.exe\u001b[0m\r\n\tA \u2066b\u2069 ünï 👩‍👧")).toBe(
    "ingpj.exe[0m\n\tA b ünï 👩‍👧",
  );
});

test("fields are named as mail programs write them", () => {
  expect(
    ["subject", "message-id", "dkim-signature", "mime-version", "x-spam", "received-spf"].map(fieldName),
  ).toEqual(["Subject", "Message-ID", "DKIM-Signature", "MIME-Version", "X-Spam", "Received-SPF"]);
});
