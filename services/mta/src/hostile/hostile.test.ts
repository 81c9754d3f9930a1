import { expect, test } from "bun:test";
import { rounds } from "../../../../test/parts/rounds.ts";
import { fuzz } from "./fuzz.testing.ts";

const sessions = rounds(200, 500);
const seedsMax = 5;

test(`${sessions} sessions with a hostile server believe nothing that was not said`, async () => {
  const sums = { accepted: 0, refused: 0, trouble: 0 };
  // Else the server would be too hostile to prove anything.
  const isProof = () => sums.accepted > 20 && sums.refused > 0 && sums.trouble > 50;
  // Where the machine stands still, sessions end for want of an answer: then others have to prove it.
  for (let seed = 1; seed <= seedsMax && !isProof(); seed++) {
    const { wrong, counts } = await fuzz({ seed, sessions, atOnce: 50 });
    expect(wrong).toEqual([]);
    for (const kind of ["accepted", "refused", "trouble"] as const) sums[kind] += counts[kind];
  }
  expect({ ...sums, isProof: isProof() }).toMatchObject({ isProof: true });
}, 120_000);
