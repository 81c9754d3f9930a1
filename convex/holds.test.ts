import { expect, test } from "bun:test";
import { api } from "./_generated/api";
import { applyEvents } from "./model/record.ts";
import { asRecorder, asUser, noon, sample, startConvex } from "./samples.testing.ts";

const firstPage = { paginationOpts: { numItems: 50, cursor: null } };
const held = sample("sending.held");
const released = sample("sending.released");
const over = {
  scope: "organization" as const,
  scopeId: "default",
  heldAt: noon,
  why: "9 of the last 50 recipients do not exist",
  by: "breaker:bounces",
  untilAt: noon + 1_800_000,
  releasedAt: noon + 60_000,
  releasedBy: "ann",
};

for (const [name, events] of [
  ["in order", [held, released]],
  ["out of order", [released, held]],
  ["repeated", [held, held, released, held, released]],
] as const)
  test(`a hold is one row with its beginning and its end, its events ${name}`, async () => {
    const t = startConvex({ now: () => noon });
    const told = await t.run((ctx) => applyEvents(ctx, events));
    expect(told).toEqual({ applied: 2, repeated: events.length - 2 });
    const user = await asUser(t);
    expect((await user.query(api.holds.list, firstPage)).page).toEqual([over]);
  });

test("holds of one scope at different times are different rows, the latest first", async () => {
  const t = startConvex({ now: () => noon });
  const later = sample("sending.held", { id: "organization.default.2.held", at: noon + 5, by: "ann" });
  await t.run((ctx) => applyEvents(ctx, [held, later]));
  const user = await asUser(t);
  expect((await user.query(api.holds.list, firstPage)).page.map(({ by }) => by)).toEqual([
    "ann",
    "breaker:bounces",
  ]);
});

test("a sender held at two sites in the same moment has a row for each", async () => {
  const t = startConvex({ now: () => noon });
  const at = (site: string) => [
    sample("sending.held", { id: `${site}.held`, site }),
    sample("sending.released", { id: `${site}.released`, site }),
  ];
  await t.run((ctx) => applyEvents(ctx, [...at("google"), ...at("yahoo"), held]));
  const user = await asUser(t);
  const { page } = await user.query(api.holds.list, firstPage);
  expect(page.map(({ site, releasedBy }) => [site, releasedBy])).toEqual([
    [undefined, undefined],
    ["yahoo", "ann"],
    ["google", "ann"],
  ]);
});

test("only people who signed in see holds", async () => {
  const t = startConvex({ now: () => noon });
  await expect(asRecorder(t).query(api.holds.list, firstPage)).rejects.toThrow();
});
