import { expect, test } from "bun:test";
import { signedFields } from "./signed-fields.ts";

const usual = ["from", "to", "subject", "x-own", "date"];

test("of equal names the lowest is signed first, and each oversigned name stands once more", () => {
  const { places, relaxed } = signedFields(["from", "to", "subject", "to"], []);
  expect(places).toEqual([0, 2, 3, 1]);
  expect(relaxed).toStartWith("from:from:sender:reply-to:subject:subject:date:message-id:to:to:to:cc:");
});

test("what somebody on the way writes anew stays unsigned", () => {
  const { places, relaxed } = signedFields(usual, ["date", "message-id"]);
  expect(places).toEqual([0, 2, 1]);
  expect(relaxed).not.toMatch(/date|message-id/);
});

test("headers that share their beginning are told apart, remembered or not", () => {
  for (let round = 0; round < 2; round++) {
    expect(signedFields(usual, []).places).toEqual([0, 2, 4, 1]);
    expect(signedFields([...usual, "cc"], []).places).toEqual([0, 2, 4, 1, 5]);
    expect(signedFields(usual, ["subject"]).places).toEqual([0, 4, 1]);
    expect(signedFields(["from", "to", "subject"], ["x-own", "date"]).places).toEqual([0, 2, 1]);
  }
});

test("a header of thousands of fields is signed whole", () => {
  const { places } = signedFields(["from", ...Array.from({ length: 5_000 }, () => "list-id")], []);
  expect(places).toHaveLength(5_001);
});

test("the relaxed form is the folded one with a space for each fold, and no line is longer than 78 characters", () => {
  const { folded, relaxed } = signedFields([...usual, "references", "list-id", "feedback-id"], []);
  expect(folded.replaceAll(/\r\n +/g, " ")).toBe(relaxed);
  for (const line of folded.split("\r\n")) expect(line.length).toBeLessThanOrEqual(74);
});
