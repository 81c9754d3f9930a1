import { expect, test } from "bun:test";
import type { ShareRecord } from "@tyto/contracts";
import { emptyRecord } from "./claim.ts";
import { type Around, revise, type Wish } from "./revision.ts";

const limit = { connectionsMax: 10, perMinute: Number.POSITIVE_INFINITY };
const wish = (change: Partial<Wish> = {}): Wish => ({
  limit,
  wanted: 10,
  askedMs: 0,
  toldMs: -10_000,
  sunkMs: undefined,
  ...change,
});
const around = (change: Partial<Around> = {}): Around => ({
  id: "me",
  isLive: (id) => id !== "dead",
  open: 0,
  owes: false,
  nowMs: 0,
  wallMs: 0,
  ...change,
});
const claim = (connections: number, wanted = 10, connectionsMax = 10) => ({
  connections,
  wanted,
  connectionsMax,
});
const held = (claims: ShareRecord["claims"]): ShareRecord => ({ turn: 0, claims });
/** The claims after the revision, or its kind when nothing is written. */
const after = (record: ShareRecord, one: Wish = wish(), at: Around = around()) => {
  const next = revise(record, one, at);
  return next.kind === "write" ? next.record?.claims : next.kind;
};

test("a claim grows only into room that nobody holds", () => {
  expect(after(emptyRecord)).toEqual({ me: claim(10) });
  expect(after(held({ other: claim(10) }))).toEqual({ other: claim(10), me: claim(0) });
  expect(after(held({ other: claim(7), me: claim(0) }))).toEqual({ other: claim(7), me: claim(3) });
});

test("a claim sinks only below what is closed, and is looked at again until it has", () => {
  const record = held({ me: claim(10), other: claim(0) });
  expect(revise(record, wish(), around({ open: 10 }))).toMatchObject({ kind: "keep", isRestless: true });
  expect(after(record, wish(), around({ open: 8 }))).toEqual({ me: claim(8), other: claim(0) });
  expect(after(record, wish(), around({ open: 2 }))).toEqual({ me: claim(5), other: claim(0) });
});

test("what a dead process held is free, and goes with the next write", () => {
  expect(after(held({ dead: claim(10) }))).toEqual({ me: claim(10) });
});

test("who wants less leaves the rest to those who lack something, half a second after it wants less", () => {
  const record = held({ me: claim(5), other: claim(5) });
  const less = wish({ wanted: 1 });
  const first = revise(record, less, around({ nowMs: 1_000 }));
  expect(first).toMatchObject({ kind: "keep", sunkMs: 1_000, isRestless: true });
  expect(after(record, { ...less, sunkMs: 1_000 }, around({ nowMs: 1_500 }))).toEqual({
    me: claim(1, 1),
    other: claim(5),
  });
  // Nobody lacks anything: it is not worth a write.
  expect(after(held({ me: claim(5), other: claim(5, 2) }), less, around({ nowMs: 9_000 }))).toBe("keep");
});

test("a stricter limit is told at once, a wider one a second after the last word", () => {
  const record = held({ me: claim(10) });
  const just = { toldMs: 0 };
  const at = around({ nowMs: 500 });
  const stricter = { ...limit, connectionsMax: 4 };
  const wider = { ...limit, connectionsMax: 20 };
  expect(after(record, wish({ ...just, limit: stricter }), at)).toEqual({ me: claim(4, 10, 4) });
  expect(revise(record, wish({ ...just, limit: wider }), at)).toMatchObject({ isRestless: true });
  expect(after(record, wish({ ...just, limit: wider }), around({ nowMs: 1_000 }))).toMatchObject({
    me: { connectionsMax: 20 },
  });
});

test("a key that nobody asks for is given back, then forgotten; never while something is open or owed", () => {
  const quiet = wish({ wanted: 0 });
  const later = { nowMs: 30_001 };
  const record = held({ me: claim(5), other: claim(5) });
  expect(after(record, quiet, around(later))).toEqual({ other: claim(5) });
  expect(after(held({ me: claim(5) }), quiet, around(later))).toBeUndefined();
  expect(after(held({ other: claim(5) }), quiet, around(later))).toBe("forget");
  for (const busy of [{ open: 1 }, { owes: true }])
    expect(after(held({ other: claim(5) }), quiet, around({ ...later, ...busy }))).not.toBe("forget");
});

test("where there are fewer connections than processes, whoever sees that a turn is over begins the next one", () => {
  const single = { ...limit, connectionsMax: 1 };
  const record = held({ me: claim(0, 5, 1), other: claim(1, 5, 1) });
  const one = wish({ limit: single, wanted: 5 });
  expect(revise(record, one, around({ wallMs: 59_999 }))).toMatchObject({ kind: "keep", isRestless: true });
  expect(revise(record, one, around({ wallMs: 60_000 }))).toMatchObject({ record: { turn: 1 } });
});
