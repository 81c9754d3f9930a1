import { expect, test } from "bun:test";
import type { Subject } from "@tyto/contracts";
import { internal } from "./_generated/api";
import crons from "./crons.ts";
import { hoursKeptDays, minutesKeptDays } from "./model/counters.ts";
import { mailDaysMax } from "./retention.ts";
import { messageId, noon, sample, startConvex, type TestDeployment } from "./samples.testing.ts";

const dayMs = 86_400_000;
const counts = (t: TestDeployment) =>
  t.run(async (ctx) => ({
    messages: (await ctx.db.query("messages").collect()).length,
    deliveries: (await ctx.db.query("deliveries").collect()).length,
    tags: (await ctx.db.query("messageTags").collect()).length,
    timeline: (await ctx.db.query("timeline").collect()).length,
    inbound: (await ctx.db.query("inbound").collect()).length,
    files: (await ctx.db.system.query("_storage").collect()).length,
    suppressions: (await ctx.db.query("suppressions").collect()).length,
  }));

async function sweep(t: TestDeployment) {
  await t.mutation(internal.retention.sweepAll, {});
  await t.finishAllScheduledFunctions();
}

test("mail leaves whole after its days, files included; suppressions stay", async () => {
  const t = startConvex({ now: () => noon });
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([
      ...["mail.accepted", "mail.held", "mail.deferred", "mail.delivered", "mail.bounced"].map((subject) =>
        sample(subject as Subject),
      ),
      sample("mail.received"),
    ]),
  });
  const storageId = await t.run((ctx) => ctx.storage.store(new Blob(["raw"])));
  await t.mutation(internal.inbound.keepRawFiles, { files: [{ rawId: "inbound1", storageId, bytes: 3 }] });
  const before = await counts(t);
  expect(Object.values(before).every((count) => count > 0)).toBe(true);

  t.advance(mailDaysMax * dayMs - 1_000);
  await sweep(t);
  expect(await counts(t)).toEqual(before);
  t.advance(2_000);
  await sweep(t);
  expect(await counts(t)).toEqual({
    messages: 0,
    deliveries: 0,
    tags: 0,
    timeline: 0,
    inbound: 0,
    files: 0,
    suppressions: 1,
  });
});

test("more than one batch is removed, one transaction after the other", async () => {
  const t = startConvex({ now: () => noon });
  await t.run(async (ctx) => {
    for (let index = 0; index < 1_100; index++)
      await ctx.db.insert("timeline", {
        eventId: `e${index}`,
        messageId,
        at: noon,
        subject: "mail.held",
        detail: {},
      });
  });
  t.advance(mailDaysMax * dayMs + 1);
  await sweep(t);
  expect((await counts(t)).timeline).toBe(0);
});

test("minutes leave before hours", async () => {
  const t = startConvex({ now: () => noon });
  const periods = async () =>
    (await t.run((ctx) => ctx.db.query("counters").collect())).map(({ period }) => period).sort();
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("mail.accepted")]) });
  expect(await periods()).toEqual(["hour", "minute"]);
  t.advance((minutesKeptDays + 1) * dayMs);
  await sweep(t);
  expect(await periods()).toEqual(["hour"]);
  t.advance((hoursKeptDays + 1) * dayMs);
  await sweep(t);
  expect(await periods()).toEqual([]);
});

test("expired sessions and codes leave, others stay", async () => {
  const t = startConvex({ now: () => noon });
  await t.run(async (ctx) => {
    for (const expiresAt of [noon - 1, noon + dayMs]) {
      const times = { expiresAt, createdAt: 0, updatedAt: 0 };
      await ctx.db.insert("sessions", { userId: "u", token: String(expiresAt), ...times });
      await ctx.db.insert("verifications", { identifier: "i", value: "v", ...times });
    }
  });
  await sweep(t);
  const left = await t.run(async (ctx) => [
    ...(await ctx.db.query("sessions").collect()),
    ...(await ctx.db.query("verifications").collect()),
  ]);
  expect(left.map(({ expiresAt }) => expiresAt)).toEqual([noon + dayMs, noon + dayMs]);
});

test("old rows are looked for every hour", () => {
  expect(Object.values(crons.crons)).toMatchObject([
    { name: "retention:sweepAll", schedule: { type: "hourly" } },
  ]);
});
