import { expect, test } from "bun:test";
import { viewOf } from "./view.ts";

test("names become snake_case, times ISO text, and what a person wrote stays", () => {
  expect(
    viewOf({
      startedAtMs: 0,
      atMs: 1_000,
      untilMs: 2_000,
      sinceMs: 3_000,
      inHand: 4,
      absent: undefined,
      rows: [{ oldestAtMs: 5_000, isOn: true }],
      definition: { whenMs: 1, thenDo: ["x"] },
    }),
  ).toEqual({
    started_at: "1970-01-01T00:00:00.000Z",
    at: "1970-01-01T00:00:01.000Z",
    until: "1970-01-01T00:00:02.000Z",
    since: "1970-01-01T00:00:03.000Z",
    in_hand: 4,
    rows: [{ oldest_at: "1970-01-01T00:00:05.000Z", is_on: true }],
    definition: { whenMs: 1, thenDo: ["x"] },
  });
});
