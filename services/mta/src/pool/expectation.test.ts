import { expect, test } from "bun:test";
import { comeAgain, isTooLong, spread } from "./expectation.ts";
import { type Site, Sites } from "./site.ts";
import { Waiting } from "./waiting.ts";

const bulk = (owner = "a") => ({ traffic: "bulk", owner }) as const;
const middle = () => 0.5;

/** A site with `taken` connections, each leased for 100 ms a message, and `inLine` messages of one owner. */
function siteWith(change: Partial<Site>, inLine = 0): Site {
  const site = Object.assign(new Sites().of("one", "mx.test", "google", 0), change);
  for (let index = 0; index < inLine; index++) site.line.push(new Waiting(bulk(), "", false, 0));
  return site;
}

test("a turn takes as long as a lease, divided among the connections", () => {
  const site = siteWith({ taken: 10 }, 99);
  const nowMs = 5_001;
  site.leasedAtMs = nowMs;
  expect([isTooLong(site, bulk(), 999, nowMs), isTooLong(site, bulk(), 1_000, nowMs)]).toEqual([true, false]);
});

test("a line that has just begun says nothing, except where a rate is known", () => {
  const site = siteWith({ taken: 1 }, 1_000);
  expect(isTooLong(site, bulk(), 1_000, 5_000)).toBe(false);
  site.gapMs = 10;
  expect(isTooLong(site, bulk(), 1_000, 5_000)).toBe(true);
});

test("who waits for connections comes again in half the time, and who waits for a rate in its own", () => {
  const busy = siteWith({ taken: 1 }, 199);
  expect(comeAgain(busy, bulk(), 0, middle)).toEqual({
    kind: "wait",
    untilMs: 10_000,
    why: "all connections that google may have are in use",
    isBooked: true,
  });
  const slow = siteWith({ taken: 1, gapMs: 1_000 }, 19);
  const times = ["a", "a", "b"].map((owner) => comeAgain(slow, bulk(owner), 0, middle).untilMs);
  // The second of an owner comes a turn behind its first; another owner has its own turns, among those of both.
  expect(times).toEqual([20_000, 21_000, 2_000]);
});

test("a long queue for few connections comes back one behind the other, and not as a wave", () => {
  const busy = siteWith({ taken: 1 }, 199);
  const times = Array.from({ length: 1_000 }, () => comeAgain(busy, bulk(), 0, middle).untilMs);
  expect(times.slice(0, 3)).toEqual([10_000, 10_050, 10_100]);
  expect(times.at(-1)).toBe(10_000 + 999 * 50);
});

test("those that are too many for a quarter of an hour come at any time of it, a hundred together", () => {
  const slow = siteWith({ taken: 1, gapMs: 1_000 });
  const shares = [0.25, 0.75, 0.5];
  const random = () => shares.shift() ?? 0.5;
  const times = Array.from({ length: 1_200 }, () => comeAgain(slow, bulk(), 0, random).untilMs);
  expect(times.slice(0, 900)).toEqual(Array.from({ length: 900 }, (_, index) => (index + 1) * 1_000));
  expect(new Set(times.slice(900))).toEqual(new Set([225_000, 675_000, 450_000]));
  expect(times.filter((atMs) => atMs === 225_000)).toHaveLength(101);
  // A turn that becomes free within the time is booked again.
  expect(comeAgain(slow, bulk(), 10_000, random).untilMs).toBe(901_000);
});

test("those that come again together take as many turns, and share the time of one message as far as it has room", () => {
  const slow = siteWith({ taken: 1, gapMs: 1_000 });
  const again = (count: number) => comeAgain(slow, bulk(), 0, middle, count).untilMs;
  expect([again(50), again(1), again(800)]).toEqual([1_000, 51_000, 52_000]);
  expect([again(50), again(50)]).toEqual([852_000, 450_000]);
  const times = [0.25, 0.75];
  const random = () => times.shift() ?? 0.5;
  const counts = [40, 30, 30, 1].map((count) => comeAgain(slow, bulk(), 0, random, count).untilMs);
  // The time that stands has room for 50 more.
  expect(counts).toEqual([450_000, 225_000, 225_000, 225_000]);
});

test("those that a suspended site sends away come back over half its suspension, or ten seconds", () => {
  const leave = { kind: "wait", untilMs: 60_000, why: "it asked for a pause" } as const;
  expect(spread(leave, 60_000, middle)).toEqual({ ...leave, untilMs: 75_000 });
  expect(spread(leave, 2_000, middle).untilMs).toBe(65_000);
});
