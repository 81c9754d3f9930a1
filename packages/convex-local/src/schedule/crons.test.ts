import { afterEach, expect, test } from "bun:test";
import { mutationGeneric } from "convex/server";
import { Deployment, ROOT } from "../deployment.ts";
import { CronSpec, firstRunMs, followingRunMs, nextRunMs } from "./crons.ts";

const at = (time: string) => Date.parse(time);

const cases: [CronSpec["schedule"], string, string][] = [
  [{ type: "interval", seconds: 30 }, "2026-03-01T10:00:05Z", "2026-03-01T10:00:35Z"],
  [{ type: "interval", minutes: 5 }, "2026-03-01T10:00:00Z", "2026-03-01T10:05:00Z"],
  [{ type: "interval", hours: 2 }, "2026-03-01T23:00:00Z", "2026-03-02T01:00:00Z"],
  [{ type: "hourly", minuteUTC: 15 }, "2026-03-01T10:15:00Z", "2026-03-01T11:15:00Z"],
  [{ type: "daily", hourUTC: 17, minuteUTC: 30 }, "2026-03-01T17:29:59Z", "2026-03-01T17:30:00Z"],
  [
    { type: "weekly", dayOfWeek: "tuesday", hourUTC: 9, minuteUTC: 0 },
    "2026-03-03T09:00:00Z",
    "2026-03-10T09:00:00Z",
  ],
  [{ type: "monthly", day: 31, hourUTC: 0, minuteUTC: 0 }, "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"],
  [{ type: "cron", cron: "15 7 * * *" }, "2026-03-01T07:15:00Z", "2026-03-02T07:15:00Z"],
];
test.each(cases)("%j is due after %s at %s", (schedule, after, expected) => {
  expect(new Date(nextRunMs(schedule, at(after))).toISOString()).toBe(new Date(expected).toISOString());
});

test("an interval begins when it is deployed, keeps its beat and skips what it missed", () => {
  const schedule = { type: "interval" as const, minutes: 5 };
  const deployedMs = at("2026-03-01T10:00:00Z");
  const minutesLater = (minutes: number) => deployedMs + minutes * 60_000;
  expect(firstRunMs(schedule, deployedMs)).toBe(deployedMs);
  expect(followingRunMs(schedule, deployedMs, minutesLater(0.1))).toBe(minutesLater(5));
  expect(followingRunMs(schedule, minutesLater(5), minutesLater(27))).toBe(minutesLater(30));
  expect(firstRunMs({ type: "hourly", minuteUTC: 15 }, deployedMs)).toBe(minutesLater(15));
});

test.each(["* * * *", "0 * * * * *", "61 * * * *", "a b c d e", ""])("the pattern %j is refused", (cron) => {
  const parsed = CronSpec.safeParse({ name: "f:f", args: [], schedule: { type: "cron", cron } });
  expect(parsed.success).toBe(false);
});

let deployment: Deployment | undefined;
afterEach(() => deployment?.stop());

test("a run that was missed is made up once, and the next is in its place", async () => {
  let nowMs = at("2026-03-01T10:00:00Z");
  const opened = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00",
    now: () => nowMs,
    log: () => {},
  });
  deployment = opened;
  let runs = 0;
  const tick = mutationGeneric({
    args: {},
    handler: async () => {
      runs++;
      return null;
    },
  });
  opened.components.set(ROOT, { path: ROOT, schema: null, modules: new Map([["clock", { tick }]]) });
  const spec: CronSpec = { name: "clock:tick", args: [{}], schedule: { type: "hourly", minuteUTC: 0 } };
  await opened.runner.transact((transaction) => opened.crons.replace(transaction, ROOT, { tick: spec }));

  const run = async () => {
    await opened.crons.runDue();
    opened.scheduler.startDue();
    await opened.scheduler.settle();
    return runs;
  };
  expect(await run()).toBe(0);
  nowMs = at("2026-03-01T15:30:00Z");
  expect(await run()).toBe(1);
  expect(await run()).toBe(1);
  nowMs = at("2026-03-01T16:00:00Z");
  expect(await run()).toBe(2);

  // Unchanged in a push: the next time stays; changed: it is counted anew.
  const replace = (changed: Record<string, CronSpec>) =>
    opened.runner.transact((transaction) => opened.crons.replace(transaction, ROOT, changed));
  expect(await replace({ tick: spec })).toEqual({ added: [], updated: [], deleted: [] });
  const daily: CronSpec = { ...spec, schedule: { type: "daily", hourUTC: 0, minuteUTC: 0 } };
  expect(await replace({ tick: daily, more: spec })).toEqual({
    added: ["more"],
    updated: ["tick"],
    deleted: [],
  });
  expect(await replace({})).toEqual({ added: [], updated: [], deleted: ["more", "tick"] });
});
