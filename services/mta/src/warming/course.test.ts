import { expect, test } from "bun:test";
import type { WarmingRecord } from "@tyto/contracts";
import { bulkMaxOf } from "./cap.ts";
import { begin, learn, onDayOf, take } from "./course.ts";
import { roomFor } from "./room.ts";
import { sentenceOf } from "./sentence.ts";

const noon = Date.UTC(2026, 10, 21, 12);
const dayMs = 86_400_000;
/** The sixth day of an address, with a cap of 1,100. */
const sixth = (): WarmingRecord => begin("mail1", "2026-11-16", noon);
const used = (record: WarmingRecord, provider: string, bulk: number, transactional = 0) =>
  take(take(record, provider, "bulk", bulk), provider, "transactional", transactional);
const seen = (
  record: WarmingRecord,
  provider: string,
  delivered: number,
  faults: { deferred?: number; bounced?: number } = {},
) => learn(record, new Map([[provider, { delivered, deferred: 0, bounced: 0, ...faults }]]), noon);

test("an address begins at day 1, or where its date says, and is warm after the schedule", () => {
  expect(begin("a", "2026-11-21", noon)).toMatchObject({ day: 1, phase: "warming" });
  expect(sixth()).toMatchObject({ day: 6, phase: "warming" });
  expect(begin("a", "2026-10-01", noon)).toMatchObject({ phase: "warm" });
  expect(begin("a", "2026-12-24", noon)).toMatchObject({ day: 1 });
});

test("it says where it stands, and why it is slowed", () => {
  const record = seen(used(sixth(), "google", 340), "google", 340);
  expect(sentenceOf(record)).toBe("day 6 of 30, 340 of 1,100 used");
  const next = onDayOf(seen(used(record, "yahoo", 72), "yahoo", 63, { deferred: 9 }), noon + dayMs);
  expect(sentenceOf(used(next, "google", 412))).toBe(
    "day 7 of 30, 412 of 1,500 used, slowed because Yahoo deferred 13 %",
  );
});

test("bulk mail leaves a fifth free, and is released over the day", () => {
  const at = (hour: number) => Date.UTC(2026, 10, 21, hour);
  const room = (record: WarmingRecord, hour: number) => roomFor(record, "google", "bulk", at(hour));
  expect(room(sixth(), 0)).toEqual({ kind: "room", count: 100 });
  expect(room(sixth(), 12)).toEqual({ kind: "room", count: 484 });
  expect(room(used(sixth(), "google", 484), 12)).toMatchObject({
    kind: "wait",
    untilMs: at(12) + 900_000,
    why: "day 6 of 30, 484 of 1,100 used: bulk mail is spread over the day, 484 of 880 by now",
  });
  expect(room(used(sixth(), "google", 880), 23)).toMatchObject({
    kind: "wait",
    why: expect.stringContaining("the rest of today is kept for transactional mail"),
  });
  expect(roomFor(used(sixth(), "google", 880), "google", "transactional", at(23))).toEqual({
    kind: "room",
    count: 220,
  });
});

test("no mail goes beyond the cap, and it says until when it waits", () => {
  const full = used(sixth(), "google", 880, 220);
  for (const traffic of ["bulk", "transactional"] as const)
    expect(roomFor(full, "google", traffic, noon)).toEqual({
      kind: "wait",
      untilMs: noon + 3_600_000,
      why: "day 6 of 30, 1,100 of 1,100 used: the next ones go after midnight UTC",
      isFull: true,
    });
});

test("as much transactional mail as yesterday finds room, however much bulk mail there is", () => {
  const record = { ...sixth(), transactionalBefore: 800 };
  expect(bulkMaxOf(record, Date.UTC(2026, 10, 21))).toBe(100);
  expect(bulkMaxOf(used(record, "google", 0, 800), Date.UTC(2026, 10, 21, 23))).toBeWithin(230, 270);
});

test.each([
  ["all went well and the cap was used", 880, {}, 8, "quicker because day 6 went well"],
  ["it went well with few", 500, {}, 7, undefined],
  ["hardly anything was sent", 40, {}, 6, "still there because only 40 of 1,100 were used on the day before"],
  ["4 % bounced", 480, { bounced: 20 }, 4, "set back from day 6 because 4 % bounced"],
  ["2 % bounced", 490, { bounced: 10 }, 7, undefined],
  [
    "three bounces of few, which is an accident",
    37,
    { bounced: 3 },
    6,
    "still there because only 40 of 1,100 were used on the day before",
  ],
] as const)("after a day on which %s, the next is day %p", (_what, delivered, faults, day, why) => {
  const bounced = "bounced" in faults ? faults.bounced : 0;
  const record = seen(used(sixth(), "google", delivered + bounced), "google", delivered, faults);
  const next = onDayOf(record, noon + dayMs);
  expect([next.day, next.why]).toEqual([day, why]);
  expect(next).toMatchObject({ date: "2026-11-22", taken: { transactional: 0, bulk: 0 } });
});

test("one provider's deferrals slow that provider and nobody else", () => {
  const busy = seen(used(used(sixth(), "google", 700), "yahoo", 100), "google", 700);
  const next = onDayOf(seen(busy, "yahoo", 85, { deferred: 15 }), noon + dayMs);
  expect(next.day).toBe(7);
  expect(next.providers.yahoo).toMatchObject({ pace: 0.5, share: 0.125 });
  const wait = roomFor(used(next, "yahoo", 93), "yahoo", "transactional", noon + dayMs);
  expect(wait).toMatchObject({
    kind: "wait",
    why: expect.stringContaining("Yahoo has had its 93 for today"),
  });
  expect(roomFor(used(next, "yahoo", 93), "google", "bulk", noon + dayMs).kind).toBe("room");
});

test("a slowed provider gets its share back after days without trouble", () => {
  let record = onDayOf(
    seen(seen(used(used(sixth(), "google", 700), "yahoo", 100), "google", 700), "yahoo", 85, {
      deferred: 15,
    }),
    noon + dayMs,
  );
  const paces = [];
  for (let day = 2; day < 8; day++) {
    record = seen(used(used(record, "google", 600), "yahoo", 60), "yahoo", 60);
    record = onDayOf(seen(record, "google", 600), noon + day * dayMs);
    paces.push(record.providers.yahoo?.pace);
  }
  expect(paces).toEqual([0.5, 0.75, 1, 1, 1, 1]);
  expect(record.providers.yahoo?.why).toBeUndefined();
});

test("very many deferrals slow a provider within the day, once", () => {
  const once = seen(seen(used(sixth(), "google", 300), "google", 200), "yahoo", 30, { deferred: 30 });
  expect(once.providers.yahoo).toMatchObject({ pace: 0.5, why: "slowed because Yahoo deferred 50 %" });
  expect(seen(once, "yahoo", 0, { deferred: 30 }).providers.yahoo?.pace).toBe(0.5);
});

test("too many bounces stop bulk mail at once; afterwards it goes on with half, and a second halt lasts longer", () => {
  const halted = seen(used(sixth(), "google", 200), "google", 180, { bounced: 20 });
  expect(halted).toMatchObject({ phase: "halted", untilAt: Date.UTC(2026, 10, 23), halts: 1 });
  expect(sentenceOf(halted)).toBe(
    "day 6 of 30, 200 used, halted until 23 Nov because 10 % bounced, slowed because Google bounced 10 %",
  );
  expect(roomFor(halted, "google", "bulk", noon).kind).toBe("wait");
  expect(roomFor(halted, "microsoft", "transactional", noon)).toEqual({ kind: "room", count: 20 });
  expect(onDayOf(halted, noon + dayMs).phase).toBe("halted");
  const again = onDayOf(onDayOf(halted, noon + dayMs), noon + 2 * dayMs);
  expect(again).toMatchObject({ phase: "warming", day: 3, why: "set back from day 6 after a halt" });
  expect(
    learn(again, new Map([["microsoft", { delivered: 80, deferred: 0, bounced: 20 }]]), noon + 2 * dayMs),
  ).toMatchObject({ phase: "halted", untilAt: Date.UTC(2026, 10, 26), halts: 2 });
});

test("the last day makes it warm, when few bounced", () => {
  const last = begin("mail1", "2026-10-24", noon);
  expect(last.day).toBe(29);
  const clean = onDayOf(seen(used(last, "google", 20_000), "google", 20_000), noon + dayMs);
  expect(clean).toMatchObject({ phase: "warm" });
  expect(roomFor(clean, "google", "bulk", noon + dayMs)).toEqual({
    kind: "room",
    count: Number.POSITIVE_INFINITY,
  });
  const dirty = onDayOf(seen(used(last, "google", 20_000), "google", 19_500, { bounced: 500 }), noon + dayMs);
  expect(dirty).toMatchObject({ phase: "warming", day: 29, why: "not warm yet because 2.5 % bounced" });
});

test("days without mail change nothing", () => {
  expect(onDayOf(sixth(), noon + 9 * dayMs)).toMatchObject({ day: 6, date: "2026-11-30", phase: "warming" });
});
