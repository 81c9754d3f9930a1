import { expect, test } from "bun:test";
import { api, internal } from "./_generated/api";
import { asUser, noon, sample, startConvex } from "./samples.testing.ts";

const out = sample("egress.quarantined");
const back = sample("egress.released");

test.each([
  ["in their order", [out, back]],
  ["the wrong way round", [back, out]],
  ["twice", [out, out, back, out, back]],
] as const)("the two events of a quarantine, %s, make one row", async (_how, events) => {
  const t = startConvex();
  for (const event of events) await t.mutation(internal.record.apply, { events: JSON.stringify([event]) });
  const { page } = await (await asUser(t)).query(api.quarantines.list, {
    paginationOpts: { numItems: 9, cursor: null },
  });
  expect(page).toEqual([
    {
      egress: "mail1",
      ip: "198.51.100.7",
      kind: "listed",
      why: "zen.spamhaus.org lists 198.51.100.7 (127.0.0.2)",
      quarantinedAt: noon,
      releasedAt: noon + 3_600_000,
    },
  ]);
});
