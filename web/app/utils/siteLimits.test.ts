import { expect, test } from "bun:test";
import { SiteLimitSet } from "@tyto/contracts";
import { isAboveCeiling, limitFormOf, limitProblems, limitSpansS, toLimitBody } from "./siteLimits.ts";

const empty = limitFormOf(undefined);
const ceiling = { rate_per_minute: 300, connections: 5 };
const namesOf = (more: Partial<typeof empty>, bound: { connections: number } | "unknown" = ceiling) =>
  limitProblems({ ...empty, ...more }, bound === "unknown" ? undefined : bound).map(({ name }) => name);

test("limits that are set now are what the form begins with", () => {
  expect(limitFormOf({ rate: "500/h", connections_max: 2, why: "they asked" })).toEqual({
    ...{ rate: "500", unit: "h", connections: "2", forS: 7_200, why: "they asked", isAbove: false },
  });
  expect(limitFormOf({ connections_max: 3, why: "" })).toMatchObject({ rate: "", connections: "3" });
});

test("a rate, connections or both are needed, as whole numbers within bounds", () => {
  expect(namesOf({})).toEqual(["rate"]);
  expect(namesOf({ rate: " 60 " })).toEqual([]);
  expect(namesOf({ connections: "2" })).toEqual([]);
  for (const rate of ["0", "-1", "1.5", "sixty", "12345678", "60/min"])
    expect(namesOf({ rate }, "unknown")).toEqual(["rate"]);
  for (const connections of ["0", "2001", "two", "1,5"])
    expect(namesOf({ connections }, "unknown")).toEqual(["connections"]);
});

test("more than the ceiling has to be meant, in whatever unit it is written", () => {
  expect(isAboveCeiling({ ...empty, rate: "300", unit: "min" }, ceiling)).toBe(false);
  expect(isAboveCeiling({ ...empty, rate: "18000", unit: "h" }, ceiling)).toBe(false);
  for (const more of [{ rate: "301" }, { rate: "6", unit: "s" as const }, { connections: "6" }]) {
    expect(namesOf(more)).toEqual(["isAbove"]);
    expect(namesOf({ ...more, isAbove: true })).toEqual([]);
    expect(namesOf(more, "unknown")).toEqual([]);
  }
  expect(namesOf({ rate: "9999999", unit: "s" }, { connections: 20 })).toEqual([]);
});

test("what the form sends is what the contract takes", () => {
  const full = { ...empty, rate: " 60 ", unit: "s" as const, connections: "2", why: " they asked " };
  expect(toLimitBody({ ...full, isAbove: true })).toEqual({
    ...{ rate: "60/s", connections: 2, for_s: 7_200, why: "they asked", above_ceiling: true },
  });
  expect(toLimitBody({ ...empty, connections: "2" })).toEqual({ connections: 2, for_s: 7_200 });
  for (const forS of limitSpansS)
    expect(SiteLimitSet.safeParse(toLimitBody({ ...full, forS })).success).toBe(true);
});
