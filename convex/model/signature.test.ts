import { expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { webhookSecret } from "../samples.testing.ts";
import { signatureProblem } from "./signature.ts";

const nowMs = Date.UTC(2026, 0, 5, 12);
const body = '{"events":[]}';
const bytes = new TextEncoder().encode(body);
const reference = new Webhook(webhookSecret);

const headersAt = (atMs: number, changed: Record<string, string> = {}) =>
  new Headers({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(atMs / 1_000)),
    "webhook-signature": reference.sign("msg_1", new Date(atMs), body),
    ...changed,
  });

test("a request signed by the reference library passes", async () => {
  expect(await signatureProblem(webhookSecret, headersAt(nowMs), bytes, nowMs)).toBeUndefined();
});

test("one right signature among several is enough, for the time a secret is replaced", async () => {
  const right = reference.sign("msg_1", new Date(nowMs), body);
  const wrong = new Webhook(`whsec_${btoa("another secret of 24 byte")}`).sign(
    "msg_1",
    new Date(nowMs),
    body,
  );
  const headers = headersAt(nowMs, { "webhook-signature": `${wrong} v1a,AAAA ${right}` });
  expect(await signatureProblem(webhookSecret, headers, bytes, nowMs)).toBeUndefined();
});

test("five minutes either way are tolerated, a second more is not", async () => {
  for (const offS of [-300, 300])
    expect(
      await signatureProblem(webhookSecret, headersAt(nowMs + offS * 1_000), bytes, nowMs),
    ).toBeUndefined();
  for (const offS of [-301, 301])
    expect(await signatureProblem(webhookSecret, headersAt(nowMs + offS * 1_000), bytes, nowMs)).toContain(
      "away from this clock",
    );
});

const refused: [string, string | undefined, Headers, Uint8Array][] = [
  ["another body", webhookSecret, headersAt(nowMs), new TextEncoder().encode('{"events":[1]}')],
  ["another id", webhookSecret, headersAt(nowMs, { "webhook-id": "msg_2" }), bytes],
  ["another secret", `whsec_${btoa("x".repeat(24))}`, headersAt(nowMs), bytes],
  ["no signature of version 1", webhookSecret, headersAt(nowMs, { "webhook-signature": "v2,AAAA" }), bytes],
  [
    "a signature that is not base64",
    webhookSecret,
    headersAt(nowMs, { "webhook-signature": "v1,%%%%" }),
    bytes,
  ],
  [
    "padding where none belongs",
    webhookSecret,
    headersAt(nowMs, { "webhook-signature": "v1,AB= v1,=" }),
    bytes,
  ],
  ["an empty signature", webhookSecret, headersAt(nowMs, { "webhook-signature": "v1," }), bytes],
  ["a timestamp that is no number", webhookSecret, headersAt(nowMs, { "webhook-timestamp": "now" }), bytes],
  ["no headers", webhookSecret, new Headers(), bytes],
  ["no secret", undefined, headersAt(nowMs), bytes],
  ["an empty secret", "whsec_", headersAt(nowMs), bytes],
  ["a secret that is not base64", "whsec_???", headersAt(nowMs), bytes],
];
for (const [name, secret, headers, given] of refused)
  test(`a request with ${name} is refused`, async () => {
    expect(await signatureProblem(secret, headers, new Uint8Array(given), nowMs)).toBeString();
  });

test("bytes that are not UTF-8 are signed as they are", async () => {
  const raw = Uint8Array.of(0xff, 0xfe, 0, 0x80);
  const signed = Buffer.concat([Buffer.from(`raw_1.${nowMs / 1_000}.`), raw]);
  const hmac = new Bun.CryptoHasher("sha256", Buffer.from(webhookSecret.slice(6), "base64"));
  const headers = new Headers({
    "webhook-id": "raw_1",
    "webhook-timestamp": String(nowMs / 1_000),
    "webhook-signature": `v1,${hmac.update(signed).digest("base64")}`,
  });
  expect(await signatureProblem(webhookSecret, headers, raw, nowMs)).toBeUndefined();
});

test("no headers that a stranger makes up pass, and none break the check", async () => {
  let seed = 20_260_105;
  const below = (limit: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % limit;
  };
  const alphabet = "v1,==ABCDabcd0123+/ .%\u00e9\u{1f989}-";
  const letters = [...alphabet];
  const text = () => Array.from({ length: below(60) }, () => letters[below(letters.length)]).join("");
  const right = headersAt(nowMs).get("webhook-signature") ?? "";
  const bent = () => {
    const at = below(right.length);
    return right.slice(0, at) + text() + right.slice(at + 1 + below(4));
  };
  for (let round = 0; round < 2_000; round++) {
    const made: Record<string, string> = {
      "webhook-id": below(2) === 0 ? "msg_1" : text(),
      "webhook-timestamp": below(2) === 0 ? String(nowMs / 1_000) : text(),
      "webhook-signature": below(2) === 0 ? bent() : `v1,${text()}`,
    };
    if (Object.values(made).some((value) => value.includes(right))) continue;
    const problem = await signatureProblem(
      webhookSecret,
      { get: (name) => made[name] ?? null },
      bytes,
      nowMs,
    );
    expect({ made, problem }).toEqual({ made, problem: expect.any(String) });
  }
});
