import { expect, test } from "bun:test";
import { findingsOf, portFindings } from "./doctor.ts";

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

test("addresses that reach no mail server are told with why and where to read on, the others in one line", () => {
  const egress = (name: string, checks: { name: string; ok: boolean; say: string }[]) => ({
    ...{ egress: name, ehlo_name: "mx.test", weight: 1, state: "in" as const, connections: 0, checks },
    last_minute: { delivered: 0, deferred: 0, bounced: 0 },
  });
  const names = { name: "reverse DNS", ok: false, say: "no name" };
  const closed = { name: "port 25", ok: false, say: "outgoing port 25 seems to be blocked" };
  const open = { name: "port 25", ok: true, say: "mail servers answer at port 25" };
  const members = [egress("a", [names, closed]), egress("b", [names, open]), egress("c", [names])];
  // An address in two pools is told once.
  const pools = [
    { pool: "all", is_default: true, egresses: members },
    { pool: "some", is_default: false, egresses: members.slice(0, 1) },
  ];
  expect(portFindings(pools)).toEqual([
    { state: "ok", text: "mail servers answer at port 25: b" },
    {
      state: "bad",
      text: "outgoing port 25 seems to be blocked",
      mend: 'docs/operations.md, "Outgoing port 25"',
    },
  ]);
  expect(portFindings([{ pool: "all", is_default: true, egresses: [egress("c", [names])] }])).toEqual([]);
});
