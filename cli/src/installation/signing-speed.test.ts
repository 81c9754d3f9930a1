import { expect, test } from "bun:test";
import { join } from "node:path";
import { fastestSigning, type SigningClock, signingClock } from "./signing-speed.ts";

const clock =
  (usualMs: number | undefined, hiddenMs: number | undefined): SigningClock =>
  async ({ OPENSSL_ia32cap }) =>
    OPENSSL_ia32cap === undefined ? usualMs : hiddenMs;
const hidden = { OPENSSL_ia32cap: ":~0x80000" };

test("ADX is hidden only where signing is faster without it, by more than chance", async () => {
  expect(await fastestSigning({}, clock(0.66, 0.59), "x64")).toEqual(hidden);
  expect(await fastestSigning({}, clock(0.66, 0.65), "x64")).toEqual({});
  expect(await fastestSigning({}, clock(0.5, 0.7), "x64")).toEqual({});
});

test("what cannot be measured changes nothing", async () => {
  expect(await fastestSigning({}, clock(undefined, 0.1), "x64")).toEqual({});
  expect(await fastestSigning({}, clock(0.7, undefined), "x64")).toEqual({});
  expect(await signingClock("/nowhere")({})).toBeUndefined();
});

test("nothing is measured on other processors, or where the operator has chosen", async () => {
  const never: SigningClock = () => Promise.reject(new Error("measured"));
  expect(await fastestSigning({}, never, "arm64")).toEqual({});
  expect(await fastestSigning({ OPENSSL_ia32cap: "~0x1" }, never, "x64")).toEqual({
    OPENSSL_ia32cap: "~0x1",
  });
});

test("a signature takes between a hundredth of a millisecond and a second, with ADX hidden too", async () => {
  const measure = signingClock(join(import.meta.dir, "../../.."));
  for (const environment of [{}, hidden]) {
    const tookMs = await measure(environment);
    expect(tookMs).toBeGreaterThan(0.01);
    expect(tookMs).toBeLessThan(1_000);
  }
}, 180_000);
