import { expect, setDefaultTimeout, test } from "bun:test";
import { Agenda, seeded } from "./agenda.ts";
import { type Scenario, simulate } from "./simulate.ts";

setDefaultTimeout(30_000);

/** A sender who grows with the caps of the schedule. */
const good: Scenario = {
  ...{ days: 32, volume: 40_000, ips: 1, seed: 1 },
  mix: { google: 45, microsoft: 25, yahoo: 15, other: 15 },
  ...{ transactional: 0.1, unknown: 0.005, complaints: 0.0005 },
};

test("the same scenario gives the same days, and another seed others", async () => {
  const short = { ...good, days: 6, volume: 4_000 };
  const [one, same, other] = [
    await simulate(short),
    await simulate(short),
    await simulate({ ...short, seed: 2 }),
  ];
  expect(one).toEqual(same);
  expect(other.days).not.toEqual(one.days);
});

test.each([1, 2])("a well-behaved sender is warm by day 32 and is done (seed %p)", async (seed) => {
  const { warmOnDay, haltedOnDay, totals, days } = await simulate({ ...good, volume: 45_000, seed });
  expect(warmOnDay ?? 99).toBeLessThanOrEqual(32);
  expect(haltedOnDay).toBeUndefined();
  expect(totals).toMatchObject({ waiting: 0, accepted: 45_000 });
  // Nothing but greylists and the odd limit stood in the way.
  expect(totals.deferrals / totals.accepted).toBeLessThan(0.05);
  for (const { cap, delivered, bounced } of days)
    if (cap !== undefined) expect(delivered + bounced).toBeLessThanOrEqual(cap);
});

test("a sender with 10 % bad addresses is halted within three days, and never gets far", async () => {
  const { haltedOnDay, warmOnDay, days } = await simulate({ ...good, days: 20, unknown: 0.1 });
  expect(haltedOnDay ?? 99).toBeLessThanOrEqual(3);
  expect(warmOnDay).toBeUndefined();
  expect(Math.max(...days.map(({ cap }) => cap ?? Number.POSITIVE_INFINITY))).toBeLessThanOrEqual(1_100);
  expect(days.some(({ say }) => /halted until \d+ Jan because \d+ % bounced/.test(say))).toBe(true);
});

test("after a week in which a provider throttles, it is slowed alone, and its volume comes back", async () => {
  const weather = {
    provider: "yahoo",
    fromDay: 6,
    toDay: 12,
    manner: { hourly: { least: 3, most: 3 } },
  };
  const { days } = await simulate({ ...good, volume: 45_000, weather });
  const sentTo = (provider: string, from: number, to: number) =>
    days.slice(from - 1, to).reduce((sum, { providers }) => sum + (providers[provider]?.delivered ?? 0), 0);
  expect(days.slice(5, 13).some(({ say }) => /slowed because Yahoo deferred \d+ %/.test(say))).toBe(true);
  expect(sentTo("yahoo", 7, 12) / sentTo("google", 7, 12)).toBeLessThan(0.15);
  expect(sentTo("yahoo", 22, 32) / sentTo("google", 22, 32)).toBeGreaterThan(0.28);
  expect(days.every(({ say }) => !say.includes("Google"))).toBe(true);
});

test("transactional mail does not wait while bulk mail to the same site is sent", async () => {
  for (const transactional of [0.02, 0.1, 0.3]) {
    const { transactionalWaitMsMax } = await simulate({ ...good, days: 15, volume: 20_000, transactional });
    expect(transactionalWaitMsMax).toBeLessThanOrEqual(10 * 60_000);
  }
});

test("two addresses are warmed side by side and carry twice as much", async () => {
  const one = await simulate({ ...good, days: 8, volume: 12_000 });
  const two = await simulate({ ...good, days: 8, volume: 12_000, ips: 2 });
  expect(two.totals.delivered / one.totals.delivered).toBeWithin(1.7, 2.3);
});

test("the agenda gives what comes first, and equals in their order", () => {
  const random = seeded(7);
  const agenda = new Agenda<number>();
  const items = Array.from({ length: 2_000 }, (_, n) => ({ atMs: Math.floor(random() * 300), n }));
  for (const { atMs, n } of items) agenda.add(atMs, n);
  const taken = Array.from({ length: items.length }, () => agenda.next()?.what);
  expect(taken).toEqual(items.toSorted((a, b) => a.atMs - b.atMs || a.n - b.n).map(({ n }) => n));
  expect([agenda.next(), agenda.size]).toEqual([undefined, 0]);
});
