import { expect, test } from "bun:test";
import { type DeliveryId, deliveryId, type Failure, newMessageId } from "@tyto/contracts";
import { encodeReturnPath } from "@tyto/mail";
import { admit, type Directory } from "./recipients.ts";

const directory: Directory = {
  verpKey: "a key of enough length",
  isReturnPathHost: (host) => host === "bounces.example.com",
  isOwnDomain: (domain) => domain === "example.com",
  hostname: "mail.example.net",
  isInbox: (pattern) => ["help@example.org", "*@catch.example"].includes(pattern),
  hasInbox: (domain) => ["example.org", "catch.example"].includes(domain),
};
const id: DeliveryId = deliveryId(newMessageId(), 2);
const ours = encodeReturnPath(id, "bounces.example.com", directory.verpKey);

test("a return path of ours is taken in any case of letters and names its delivery", () => {
  expect(admit(ours, directory).deliveryId).toBe(id);
  expect(admit(ours.toUpperCase(), directory).deliveryId).toBe(id);
});

test.each([
  [encodeReturnPath(id, "bounces.example.com", "another key of that length"), "return-path.invalid"],
  [ours.replace(/-\d+-/, "-3-"), "return-path.invalid"],
  [encodeReturnPath(id, "bounces.elsewhere.test", directory.verpKey), "relay.refused"],
  ["ann@example.com", "recipient.unknown"],
  ["ann@gmail.example", "relay.refused"],
  ["postmaster@gmail.example", "relay.refused"],
  ["help@example.org@example.com", "recipient.unknown"],
  ["help%example.org@example.com", "recipient.unknown"],
  ["ann@[192.0.2.1]", "relay.refused"],
  ["ann@example.org", "recipient.unknown"],
  ["ann@bounces.example.com", "recipient.unknown"],
  ["ann@mail.example.net", "recipient.unknown"],
  ["", "recipient.unknown"],
  ["ann", "recipient.unknown"],
  ["*@example.com", "recipient.unknown"],
  ["helper+help@example.org", "recipient.unknown"],
  ["+help@example.org", "recipient.unknown"],
  ["ann@sub.catch.example", "relay.refused"],
])("%s is refused: %s", (address, code) => {
  try {
    admit(address, directory);
    expect.unreachable();
  } catch (error) {
    expect((error as Failure).code).toBe(code as Failure["code"]);
  }
});

test.each([
  "postmaster",
  "Postmaster@example.com",
  "abuse@EXAMPLE.com",
  "dmarc@bounces.example.com",
  "tlsrpt@example.com",
  "postmaster@mail.example.net",
  "postmaster@bounces.example.com",
  "Help@Example.org",
  "help+tag@example.org",
  "HELP+a+b@EXAMPLE.ORG",
  "abuse+report@example.com",
  "whoever@catch.example",
])("%s is taken", (address) => {
  expect(admit(address, directory).deliveryId).toBeUndefined();
});
