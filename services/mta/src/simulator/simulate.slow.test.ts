/** Weeks of tens of thousands of messages; shorter ones are in simulate.test.ts. */
import { expect, test } from "bun:test";
import { type Scenario, simulate } from "./simulate.ts";

/** A sender who grows with the caps of the schedule. */
const good: Scenario = {
  ...{ days: 32, volume: 40_000, ips: 1, seed: 1 },
  mix: { google: 45, microsoft: 25, yahoo: 15, other: 15 },
  ...{ transactional: 0.1, unknown: 0.005, complaints: 0.0005 },
};

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

test("a sender with 10 % bad addresses is halted within three days, and never gets far", async () => {
  const { haltedOnDay, warmOnDay, days } = await simulate({ ...good, days: 20, unknown: 0.1 });
  expect(haltedOnDay ?? 99).toBeLessThanOrEqual(3);
  expect(warmOnDay).toBeUndefined();
  expect(Math.max(...days.map(({ cap }) => cap ?? Number.POSITIVE_INFINITY))).toBeLessThanOrEqual(1_100);
  expect(days.some(({ say }) => /halted until \d+ Jan because \d+ % bounced/.test(say))).toBe(true);
});

test("complaints that providers pass on, hours later, slow or halt the warming of a sender whom people do not want", async () => {
  const { days, warmOnDay } = await simulate({ ...good, days: 20, mix: { yahoo: 1 }, complaints: 0.05 });
  const told = days.map(({ complaints }) => complaints);
  expect(told.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(5);
  expect(warmOnDay).toBeUndefined();
  expect(days.some(({ say }) => /(halted|slowed).*complain/.test(say))).toBe(true);
  // Gmail tells nobody who complained.
  const gmail = await simulate({ ...good, days: 6, mix: { google: 1 }, complaints: 0.05 });
  expect(gmail.days.every(({ complaints }) => complaints === 0)).toBe(true);
});

test("transactional mail does not wait while bulk mail to the same site is sent", async () => {
  for (const transactional of [0.02, 0.1, 0.3]) {
    const { transactionalWaitMsMax } = await simulate({
      ...good,
      days: 10,
      volume: 20_000,
      transactional,
    });
    expect(transactionalWaitMsMax).toBeLessThanOrEqual(10 * 60_000);
  }
});

test("two addresses are warmed side by side and carry twice as much", async () => {
  const one = await simulate({ ...good, days: 8, volume: 12_000 });
  const two = await simulate({ ...good, days: 8, volume: 12_000, ips: 2 });
  expect(two.totals.delivered / one.totals.delivered).toBeWithin(1.7, 2.3);
});
