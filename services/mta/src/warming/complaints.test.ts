import { expect, test } from "bun:test";
import type { WarmingRecord } from "@tyto/contracts";
import { begin, hear, learn, onDayOf, type Told, take } from "./course.ts";
import { roomFor } from "./room.ts";
import { sentenceOf } from "./sentence.ts";

const noon = Date.UTC(2026, 10, 21, 12);
const dayMs = 86_400_000;
/** The twelfth day of an address, with a cap of 5,250, on which two providers took mail. */
const twelfth = (): WarmingRecord => {
  const begun = take(
    take(begin("mail1", "2026-11-10", noon), "yahoo", "bulk", 1_000),
    "google",
    "bulk",
    3_000,
  );
  const outcomes = { deferred: 0, bounced: 0 };
  return learn(
    begun,
    new Map([
      ["yahoo", { delivered: 1_000, ...outcomes }],
      ["google", { delivered: 3_000, ...outcomes }],
    ]),
    noon,
  );
};
const told = (count: number, kind: Told["kind"] = "complained", provider = "yahoo", from = 0): Told[] =>
  Array.from({ length: count }, (_, n) => ({ id: `${provider}${from + n}`, kind, provider }));

test("a provider whose users complain about more than 0.2 % gets half of its share at once, and it is said why", () => {
  const { providers } = hear(twelfth(), told(2), noon);
  expect(providers.yahoo).toMatchObject({ pace: 1, recent: { delivered: 1_000, complained: 2 } });
  const slowed = hear(twelfth(), told(3), noon);
  expect(slowed.providers).toMatchObject({ yahoo: { pace: 0.5, share: 0.25 }, google: { pace: 1 } });
  expect(sentenceOf(slowed)).toBe(
    "day 12 of 30, 4,000 of 5,250 used, slowed because Yahoo complained about 0.3 %",
  );
  expect(roomFor(slowed, "yahoo", "bulk", noon)).toMatchObject({
    kind: "wait",
    why: expect.stringContaining(
      "Yahoo has had its 656 for today, slowed because Yahoo complained about 0.3 %",
    ),
  });
  // More of the same day slows no further.
  expect(hear(slowed, told(1, "complained", "yahoo", 3), noon).providers.yahoo?.pace).toBe(0.5);
});

test("few complaints among few messages are an accident", () => {
  const few = learn(
    begin("mail1", "2026-11-20", noon),
    new Map([["yahoo", { delivered: 60, deferred: 0, bounced: 0 }]]),
    noon,
  );
  expect(hear(few, told(2), noon).providers.yahoo?.pace).toBe(1);
  expect(hear(few, told(3), noon).providers.yahoo?.pace).toBe(0.5);
});

test("above 0.3 % its bulk mail stops until the end of the next day; transactional mail and other providers go on", () => {
  const paused = hear(twelfth(), told(6), noon);
  const until = Date.UTC(2026, 10, 23);
  expect(paused.providers.yahoo).toMatchObject({ pausedUntil: until, pace: 0.5 });
  expect(sentenceOf(paused)).toBe(
    "day 12 of 30, 4,000 of 5,250 used, paused until 23 Nov because Yahoo complained about 0.5 %",
  );
  const next = onDayOf(paused, noon + dayMs);
  expect(roomFor(next, "yahoo", "bulk", noon + dayMs)).toMatchObject({
    kind: "wait",
    why: expect.stringContaining("no bulk mail to Yahoo, paused until 23 Nov because Yahoo complained"),
  });
  expect(roomFor(next, "yahoo", "transactional", noon + dayMs).kind).toBe("room");
  expect(roomFor(next, "google", "bulk", noon + dayMs).kind).toBe("room");
  const after = onDayOf(next, noon + 2 * dayMs);
  expect(roomFor(after, "yahoo", "bulk", noon + 2 * dayMs).kind).toBe("room");
  expect(sentenceOf(after)).toContain("slowed because Yahoo complained about 0.5 %");
});

test("an address that everybody's users complain about goes back in the schedule, and is never called warm", () => {
  const all = hear(hear(twelfth(), told(6), noon), told(10, "complained", "google"), noon);
  expect(onDayOf(all, noon + dayMs)).toMatchObject({
    day: 8,
    phase: "warming",
    why: "set back from day 12 because 0.4 % were complained about",
  });
});

test("the same report counts once", () => {
  const record = hear(hear(twelfth(), told(4), noon), told(4), noon);
  expect(record.providers.yahoo?.recent?.complained).toBe(4);
  expect(record.heard).toHaveLength(4);
});

test("a day later complaints count half, with the mail that they are about", () => {
  const next = onDayOf(hear(twelfth(), told(2), noon), noon + dayMs);
  expect(next.providers.yahoo?.recent).toEqual({ delivered: 500, bounced: 0, complained: 1 });
});

test("mail that bounces after it was taken counts with what bounced at once", () => {
  const record = hear(twelfth(), told(40, "bounced"), noon);
  expect(onDayOf(record, noon + dayMs).providers.yahoo).toMatchObject({
    pace: 0.5,
    why: "slowed because Yahoo bounced 4 %",
  });
  const halted = hear(hear(twelfth(), told(200, "bounced"), noon), told(200, "bounced", "google"), noon);
  expect(sentenceOf(halted)).toContain("halted until 23 Nov because 10 % bounced");
});
