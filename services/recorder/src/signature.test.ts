import { expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { signatureHeaders } from "./signature.ts";

const key = Buffer.from("a secret of the tests, 32 bytes!");
const nowMs = Date.UTC(2026, 0, 5, 12, 0, 0, 789);

test("text is signed as the reference library signs it", () => {
  const body = '{"events":[{"subject":"Grüße 👋"}]}';
  const reference = new Webhook(key.toString("base64")).sign("msg_1", new Date(nowMs), body);
  expect(signatureHeaders(key, "msg_1", nowMs, new TextEncoder().encode(body))).toEqual({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(nowMs / 1_000)),
    "webhook-signature": reference,
  });
});

test("every byte of a body that is no text counts", () => {
  const sign = (...bytes: number[]) =>
    signatureHeaders(key, "msg_1", nowMs, Uint8Array.from(bytes))["webhook-signature"];
  expect(sign(0xff, 0x80)).not.toBe(sign(0xfe, 0x80));
  expect(sign(0xff, 0x80)).toBe(sign(0xff, 0x80));
});
