import { expect, test } from "bun:test";
import { suppressionKey } from "@tyto/contracts";
import { api, internal } from "./_generated/api";
import { changesKeptDays } from "./model/changes.ts";
import { asGateway, asRecorder, noon, startConvex } from "./samples.testing.ts";

const dayMs = 86_400_000;
const suppression = (index: number) => {
  const address = `user${index}@example.net`;
  return { address, key: suppressionKey(address), cause: "manual" as const };
};

function start() {
  const t = startConvex({ now: () => noon });
  return { t, gateway: asGateway(t), recorder: asRecorder(t) };
}

test("a follower that asks again after what it has misses nothing and gets nothing twice", async () => {
  const { gateway, recorder } = start();
  for (let index = 0; index < 5; index++)
    await gateway.mutation(api.service.addSuppression, suppression(index));
  const all = await recorder.query(api.sync.changes, { after: 0 });
  expect(all.changes.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
  expect([all.head, all.oldest]).toEqual([5, 1]);
  const rest = await recorder.query(api.sync.changes, { after: 3 });
  expect(rest.changes).toEqual(all.changes.slice(3));
  const none = await recorder.query(api.sync.changes, { after: 5 });
  expect(none).toEqual({ changes: [], head: 5, oldest: 1, log: all.log });
});

test("an empty log begins at sequence 1 and has no name yet", async () => {
  const { recorder } = start();
  const empty = await recorder.query(api.sync.changes, { after: 0 });
  expect(empty).toEqual({ changes: [], head: 0, oldest: 1, log: "" });
});

test("one answer holds at most 500 changes", async () => {
  const { t, recorder } = start();
  await t.run(async (ctx) => {
    for (let sequence = 1; sequence <= 600; sequence++)
      await ctx.db.insert("changes", { sequence, bucket: "DOMAINS", key: "example.com", value: null });
    await ctx.db.insert("changeHead", { sequence: 600 });
  });
  const first = await recorder.query(api.sync.changes, { after: 0 });
  expect([first.changes.length, first.head]).toEqual([500, 600]);
});

test("a snapshot gives every row once, in parts", async () => {
  const { gateway, recorder } = start();
  const total = 450;
  for (let index = 0; index < total; index++)
    await gateway.mutation(api.service.addSuppression, suppression(index));
  const keys: string[] = [];
  let cursor: string | null = null;
  let parts = 0;
  do {
    const part: { rows: { key: string }[]; cursor: string | null; head: number } = await recorder.query(
      api.sync.snapshot,
      { bucket: "SUPPRESSIONS", cursor },
    );
    expect(part.head).toBe(total);
    keys.push(...part.rows.map(({ key }) => key));
    cursor = part.cursor;
    parts++;
  } while (cursor !== null);
  expect(new Set(keys).size).toBe(total);
  expect(keys.length).toBe(total);
  expect(parts).toBe(3);
}, 120_000);

test("old changes leave, the head stays, and `oldest` tells a late follower that it missed some", async () => {
  const { t, gateway, recorder } = start();
  await gateway.mutation(api.service.addSuppression, suppression(1));
  await gateway.mutation(api.service.addSuppression, suppression(2));
  t.advance(changesKeptDays * dayMs + 1);
  await gateway.mutation(api.service.addSuppression, suppression(3));
  expect(await t.mutation(internal.retention.sweep, { chore: "changes" })).toBe(2);
  const { changes, head, oldest } = await recorder.query(api.sync.changes, { after: 0 });
  expect([changes.map(({ sequence }) => sequence), head, oldest]).toEqual([[3], 3, 3]);
  t.advance(changesKeptDays * dayMs + 1);
  expect(await t.mutation(internal.retention.sweep, { chore: "changes" })).toBe(1);
  expect(await recorder.query(api.sync.changes, { after: 3 })).toMatchObject({
    changes: [],
    head: 3,
    oldest: 4,
  });
});
