import { expect, test } from "bun:test";
import type { QueueActed } from "@tyto/contracts";
import { filterOf, inParts } from "./queue.ts";

const part = (matched: number, next: string | null): QueueActed => ({
  ...{ action: "requeue", dry_run: true, matched, touched: 0, in_hand: 1, sample: [], next_cursor: next },
});

test("a row is one condition; mail without a campaign and several put together are none", () => {
  expect(filterOf("site", "google")).toEqual({ site: "google" });
  expect(filterOf("campaign", "autumn") as object).toEqual({ campaign: "autumn" });
  expect(filterOf("campaign", "")).toBeUndefined();
  expect(filterOf("organization", "*")).toBeUndefined();
});

test("parts are asked for with the cursor of the one before, and added up", async () => {
  const cursors: (string | undefined)[] = [];
  const told: number[] = [];
  const answers = [part(5_000, "a"), part(5_000, "b"), part(7, null)];
  const sum = await inParts(
    async (cursor) => {
      cursors.push(cursor);
      return answers[cursors.length - 1];
    },
    ({ matched }) => told.push(matched),
    () => true,
  );
  expect(cursors).toEqual([undefined, "a", "b"]);
  expect(told).toEqual([5_000, 10_000, 10_007]);
  expect(sum).toMatchObject({ matched: 10_007, in_hand: 3, next_cursor: null });
});

test("a part that fails, or a person who stops it, ends it", async () => {
  let asked = 0;
  const ask = async () => (++asked === 2 ? undefined : part(1, "a"));
  const failed = await inParts(
    ask,
    () => {},
    () => true,
  );
  expect({ asked, matched: failed?.matched }).toEqual({ asked: 2, matched: 1 });
  asked = 10;
  expect(
    await inParts(
      ask,
      () => {},
      () => false,
    ),
  ).toBeUndefined();
  expect(asked).toBe(11);
  expect(
    await inParts(
      async () => undefined,
      () => {},
      () => true,
    ),
  ).toBeUndefined();
});
