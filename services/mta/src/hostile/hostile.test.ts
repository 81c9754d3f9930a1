import { expect, test } from "bun:test";
import { rounds } from "../../../../test/parts/rounds.ts";
import { fuzz } from "./fuzz.testing.ts";

const sessions = rounds(200, 500);

test(`${sessions} sessions with a hostile server believe nothing that was not said`, async () => {
  const { wrong, counts } = await fuzz({ seed: 1, sessions, atOnce: 50 });
  expect(wrong).toEqual([]);
  // Else the server would be too hostile to prove anything.
  expect(counts.accepted).toBeGreaterThan(20);
  expect(counts.refused).toBeGreaterThan(0);
  expect(counts.trouble).toBeGreaterThan(50);
}, 120_000);
