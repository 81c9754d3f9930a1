import { expect, test } from "bun:test";
import { deliveryId, newMessageId } from "@tyto/contracts";
import {
  decodeMessageId,
  decodeOwnAddress,
  decodeToken,
  encodeMessageId,
  encodeOwnAddress,
  encodeReturnPath,
  encodeToken,
  looksLikeOwnAddress,
  readReturnPath,
} from "./index.ts";

const key = "a key of the tests, long enough";
const messageId = newMessageId(1_767_614_400_000);
const id = deliveryId(messageId, 12);
const host = "bounces.example.com";

test("each address says what it is for and whose delivery it is about, in any case of letters", () => {
  const made = {
    "return-path": encodeReturnPath(id, host, key),
    unsubscribe: encodeOwnAddress("unsubscribe", id, host, key),
    feedback: encodeOwnAddress("feedback", id, host, key),
  } as const;
  for (const [purpose, address] of Object.entries(made))
    for (const written of [address, address.toUpperCase()]) {
      expect(decodeOwnAddress(written, key)).toEqual({ purpose, deliveryId: id } as never);
      expect(looksLikeOwnAddress(written)).toBe(true);
      expect(decodeOwnAddress(written, `${key}!`)).toBeUndefined();
    }
});

test("a token for one purpose is worth nothing for another, and none is a return path", () => {
  const token = encodeToken("unsubscribe", id, key);
  expect(decodeToken("unsubscribe", token, key)).toBe(id);
  expect(decodeToken("feedback", token, key)).toBeUndefined();
  expect(readReturnPath(`b-${token}@${host}`, key)).toBeUndefined();
  expect(decodeOwnAddress(`c-${token}@${host}`, key)).toBeUndefined();
  expect(decodeToken("unsubscribe", encodeReturnPath(id, host, key).slice(2).split("@")[0] ?? "", key)).toBe(
    undefined,
  );
});

test("another delivery of the same message has another token", () => {
  const other = encodeToken("unsubscribe", id, key).replace(/-12-/, "-13-");
  expect(decodeToken("unsubscribe", other, key)).toBeUndefined();
});

test("a Message-ID of ours names its message; another domain, message or key does not", () => {
  const made = encodeMessageId(messageId, "example.com", key);
  expect(decodeMessageId(`<${made}>`, key)).toBe(messageId);
  expect(decodeMessageId(made.toUpperCase(), key)).toBe(messageId);
  for (const wrong of [
    made.replace("example.com", "example.org"),
    made.replace(messageId, newMessageId()),
    `${messageId}@example.com`,
    `x${made}`,
    "",
    "<>",
  ])
    expect(decodeMessageId(wrong, key)).toBeUndefined();
  expect(decodeMessageId(made, `${key}!`)).toBeUndefined();
});
