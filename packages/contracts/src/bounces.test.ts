import { expect, test } from "bun:test";
import { standingOf, standings, suppresses } from "./bounces.ts";

test("a hard bounce says more than a soft one, and a sure one more than a guess", () => {
  const told = [
    { hard: false, confidence: 0.5 },
    { hard: false, confidence: 0.6 },
    { hard: true, confidence: 0.5 },
    { hard: true, confidence: 0.6 },
  ];
  expect(told.map(standingOf)).toEqual([...standings]);
});

test("only what is hard, sure and the recipient's fault suppresses", () => {
  const bounce = { hard: true, fault: "recipient", confidence: 0.6 } as const;
  expect(suppresses(bounce)).toBe(true);
  for (const other of [{ hard: false }, { fault: "policy" as const }, { confidence: 0.5 }])
    expect(suppresses({ ...bounce, ...other })).toBe(false);
});
