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
  const short = { ...good, days: rounds(3, 6), volume: rounds(2_000, 4_000) };
  const [one, same, other] = [
    await simulate(short),
    await simulate(short),
    await simulate({ ...short, seed: 2 }),
  ];
  expect(one).toEqual(same);
  expect(other.days).not.toEqual(one.days);
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
