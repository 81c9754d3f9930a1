/** Whole months of tens of thousands of messages; shorter ones are in simulate.test.ts. */
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
