import { expect, test } from "bun:test";
import { type DeliveryId, deliveryId, newMessageId, Origin } from "@tyto/contracts";
import { encodeReturnPath, looksLikeReturnPath, readReturnPath } from "./verp.ts";

const key = "0123456789abcdef0123456789abcdef";
const id = deliveryId(newMessageId(1_700_000_000_000), 7);
const host = "bounces.example.com";
const origin = Origin.parse("abcd2345");
const deliveryOf = (address: string, key: string) => readReturnPath(address, key)?.deliveryId;

test("a return path names its delivery", () => {
  expect(deliveryOf(encodeReturnPath(id, host, key), key)).toBe(id);
});

test("a return path tells the way that its message left by, and nobody can change it", () => {
  const address = encodeReturnPath(id, host, key, origin);
  expect(readReturnPath(address.toUpperCase(), key)).toEqual({ deliveryId: id, origin });
  expect(looksLikeReturnPath(address)).toBe(true);
  expect(readReturnPath(address.replace(origin, "abcd2346"), key)).toBeUndefined();
  expect(readReturnPath(address.replace(`-${origin}`, ""), key)).toBeUndefined();
  expect(readReturnPath(encodeReturnPath(id, host, key), key)).toEqual({ deliveryId: id });
});

test("a return path survives a server that changes the case of letters", () => {
  const address = encodeReturnPath(id, host, key);
  expect(deliveryOf(address.toUpperCase(), key)).toBe(id);
  expect(deliveryOf(encodeReturnPath(id, "Bounces.EXAMPLE.com", key), key)).toBe(id);
});

test("the longest delivery id leaves the local part within 64 characters", () => {
  const address = encodeReturnPath(deliveryId(newMessageId(), 9_999), host, key, origin);
  expect(address.indexOf("@")).toBeLessThanOrEqual(64);
});

test("one changed character anywhere makes it foreign", () => {
  const address: string = encodeReturnPath(id, host, key, origin);
  for (let i = 0; i < address.length; i++) {
    const other = address.charAt(i) === "a" ? "b" : "a";
    expect(deliveryOf(address.slice(0, i) + other + address.slice(i + 1), key)).toBeUndefined();
  }
});

test.each(["", "@", "b-", "b-x@bounces.example.com", "ann@bounces.example.com", "b--@x", "a".repeat(300)])(
  "%p is no return path",
  (text) => {
    expect(deliveryOf(text, key)).toBeUndefined();
    expect(looksLikeReturnPath(text)).toBe(false);
  },
);

test("another key, another host and another delivery give another address", () => {
  const address = encodeReturnPath(id, host, key);
  expect(deliveryOf(address, `${key}x`)).toBeUndefined();
  expect(deliveryOf(address.replace("bounces.", "bounce."), key)).toBeUndefined();
  expect(encodeReturnPath(deliveryId(newMessageId(), 7) as DeliveryId, host, key)).not.toBe(address);
  expect(looksLikeReturnPath(address)).toBe(true);
});
