import { expect, setDefaultTimeout, test } from "bun:test";
import { rounds } from "../../../../test/parts/rounds.ts";
import { Agenda, seeded } from "./agenda.ts";
import { type Scenario, simulate } from "./simulate.ts";

setDefaultTimeout(120_000);

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
  for (const transactional of rounds([0.1], [0.02, 0.1, 0.3])) {
    const { transactionalWaitMsMax } = await simulate({
      ...good,
      days: 10,
      volume: rounds(8_000, 20_000),
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

test("the agenda gives what comes first, and equals in their order", () => {
  const random = seeded(7);
  const agenda = new Agenda<number>();
  const items = Array.from({ length: 2_000 }, (_, n) => ({ atMs: Math.floor(random() * 300), n }));
  for (const { atMs, n } of items) agenda.add(atMs, n);
  const taken = Array.from({ length: items.length }, () => agenda.next()?.what);
  expect(taken).toEqual(items.toSorted((a, b) => a.atMs - b.atMs || a.n - b.n).map(({ n }) => n));
  expect([agenda.next(), agenda.size]).toEqual([undefined, 0]);
});
