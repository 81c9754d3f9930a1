import { expect, test } from "bun:test";
import { api, internal } from "./_generated/api";
import { address, asUser, noon, sample, startConvex } from "./samples.testing.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;

async function seeded(nowMs: number) {
  const t = startConvex({ now: () => nowMs });
  const recipients = [0, 1].map((index) => ({ address: address(index), role: "to" }));
  for (const events of [
    [sample("mail.accepted", { recipients }), sample("mail.deferred")],
    [sample("mail.delivered"), sample("mail.bounced", {}, 1)],
  ])
    await t.mutation(internal.record.apply, { events: JSON.stringify(events) });
  return { t, user: await asUser(t) };
}

test("throughput counts recipients accepted and attempts by the minute in which they happened", async () => {
  const { user } = await seeded(noon + 10 * minuteMs);
  const chart = await user.query(api.counters.throughput, { sinceMs: noon, bucketMs: minuteMs });
  expect(chart).toEqual({
    buckets: [
      { at: noon, accepted: 2, delivered: 0, bounced: 0, deferred: 1 },
      { at: noon + 5 * minuteMs, accepted: 0, delivered: 1, bounced: 1, deferred: 0 },
    ],
    totals: { accepted: 2, delivered: 1, bounced: 1, deferred: 1 },
  });
});

test("wider buckets sum narrower ones", async () => {
  const { user } = await seeded(noon + 10 * minuteMs);
  for (const [sinceMs, bucketMs] of [
    [noon, 15 * minuteMs],
    [noon - 48 * hourMs, hourMs],
    [noon - 30 * 24 * hourMs, 24 * hourMs],
  ] as const) {
    const { buckets } = await user.query(api.counters.throughput, { sinceMs, bucketMs });
    expect(buckets).toMatchObject([{ accepted: 2, delivered: 1, bounced: 1, deferred: 1 }]);
  }
});

test("what happened before the range is left out", async () => {
  const { user } = await seeded(noon + 10 * minuteMs);
  const { totals } = await user.query(api.counters.throughput, {
    sinceMs: noon + 4 * minuteMs,
    bucketMs: minuteMs,
  });
  expect(totals).toEqual({ accepted: 0, delivered: 1, bounced: 1, deferred: 0 });
});

test("the overview tells what exists and what happened in a day", async () => {
  const { user } = await seeded(noon + hourMs);
  expect(await user.query(api.counters.overview, {})).toEqual({
    messages: 1,
    domains: 0,
    verifiedDomains: 0,
    apiKeys: 0,
    suppressions: 1,
    delivered24h: 1,
    bounced24h: 1,
  });
  const { user: later } = await seeded(noon + 26 * hourMs);
  expect(await later.query(api.counters.overview, {})).toMatchObject({ messages: 1, delivered24h: 0 });
});
