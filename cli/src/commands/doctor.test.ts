import { expect, test } from "bun:test";
import { findingsOf } from "./doctor.ts";

const conditions = [
  { part: "nats" },
  { part: "mta", problem: { why: "nothing listens at port 1", harm: "mail waits", mend: "read its lines" } },
  { part: "gateway" },
];

test("parts that are ready are one line; each other part is told with why, what it means and what to do", () => {
  expect(findingsOf(conditions, 3_600_000)).toEqual([
    { state: "ok", text: "ready: nats, gateway" },
    {
      state: "bad",
      text: "mta is not ready (nothing listens at port 1): mail waits",
      mend: "read its lines",
    },
  ]);
});

test("right after the start nobody is sent to read logs", () => {
  expect(findingsOf(conditions, 12_000)[1]).toMatchObject({
    state: "bad",
    mend: "Tyto started 12 s ago; look again in a minute",
  });
});
