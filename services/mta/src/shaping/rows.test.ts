import { expect, spyOn, test } from "bun:test";
import { createProfiles } from "./profiles.ts";
import { Rows } from "./rows.ts";

const sitesMax = 10_000;
const rowsOf = (sites: number) => {
  const rows = new Rows(createProfiles({ connectionsMax: 20 }));
  for (let n = 0; n < sites; n++)
    for (const egress of ["one", "two"]) rows.of({ egress, site: `mx${n}` }, undefined, 0);
  return rows;
};

test("the rows of one site are found without a look at those of all others", () => {
  const rows = rowsOf(4_000);
  const walks = spyOn(Map.prototype, "values");
  const found = Array.from({ length: 4_000 }, (_, n) => rows.list(`mx${n}`));
  const walked = walks.mock.calls.length;
  walks.mockRestore();
  expect(found.every((list) => list.length === 2)).toBe(true);
  expect(walked).toBe(0);
});

test("a site that is forgotten has no rows, and what is known of names stays as small as what is known of sites", () => {
  const rows = rowsOf(3 * sitesMax);
  expect(rows.list()).toHaveLength(sitesMax);
  expect(rows.list("mx0")).toEqual([]);
  expect(rows.list(`mx${3 * sitesMax - 1}`).map(({ key }) => key.egress)).toEqual(["one", "two"]);
  expect(rows.namesKnown).toBeLessThanOrEqual(2 * sitesMax);
});
