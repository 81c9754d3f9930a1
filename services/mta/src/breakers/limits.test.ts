import { describe, expect, test } from "bun:test";
import { limits } from "./limits.ts";

/** The chance that more than `max` of `sent` messages are bad, when each is with the chance `rate`. */
function chanceOfMore(max: number, sent: number, rate: number): number {
  let term = sent * Math.log1p(-rate);
  let upTo = Math.exp(term);
  for (let k = 1; k <= max; k++) {
    term += Math.log((sent - k + 1) / k) + Math.log(rate) - Math.log1p(-rate);
    upTo += Math.exp(term);
  }
  return Math.max(0, 1 - upTo);
}

test("the chance is computed right: as in tables of the binomial distribution", () => {
  expect(chanceOfMore(0, 10, 0.5)).toBeCloseTo(1 - 0.5 ** 10, 9);
  expect(chanceOfMore(2, 5, 0.3)).toBeCloseTo(0.16308, 4);
});

describe("a sender in good order is stopped in less than one of 10,000 windows", () => {
  test.each(limits.map((limit) => [limit.sentMax, limit] as const))("of %p messages", (sent, limit) => {
    expect(chanceOfMore(limit.bouncedMax, sent, 0.02)).toBeLessThan(1e-4);
    expect(chanceOfMore(limit.complainedMax, sent, 0.001)).toBeLessThan(1e-4);
  });
});

describe("a bad one is stopped in nine of ten windows", () => {
  const bad = new Map([
    [50, { bounces: 0.25, complaints: 0.12 }],
    [200, { bounces: 0.12, complaints: 0.04 }],
    [1_000, { bounces: 0.065, complaints: 0.015 }],
    [5_000, { bounces: 0.045, complaints: 0.0045 }],
  ]);
  test.each(limits.map((limit) => [limit.sentMax, limit] as const))("of %p messages", (sent, limit) => {
    const { bounces, complaints } = bad.get(sent) ?? { bounces: 0, complaints: 0 };
    expect(chanceOfMore(limit.bouncedMax, sent, bounces)).toBeGreaterThan(0.9);
    expect(chanceOfMore(limit.complainedMax, sent, complaints)).toBeGreaterThan(0.9);
  });
});

test("the limits that others use would stop healthy senders: with 100,000 messages a day weekly, or daily", () => {
  const windowsADay = 100_000 / 100;
  expect(chanceOfMore(8, 100, 0.02) * windowsADay).toBeGreaterThan(1 / 7);
  expect(chanceOfMore(8, 100, 0.03) * windowsADay).toBeGreaterThan(1);
  // One complaint among a hundred messages, of a sender with one in a thousand.
  expect(chanceOfMore(0, 100, 0.001)).toBeGreaterThan(0.09);
});
