import { expect, test } from "bun:test";
import { outcomeOf, outcomeOfError } from "./outcome.ts";

test.each([
  ["stream: OK\0", "clean"],
  ["stream: OK", "clean"],
  ["stream: Eicar-Test-Signature FOUND\0", "infected"],
  ["stream: Win.Test.OK FOUND\0", "infected"],
  ["INSTREAM size limit exceeded. ERROR\0", "too-large"],
  ["stream: Can't allocate memory ERROR\0", "failed"],
  ["stream: Time limit reached ERROR\0", "failed"],
  ["UNKNOWN COMMAND\0", "failed"],
  ["stream: O", "failed"],
  ["", "failed"],
  ["\0", "failed"],
  ["stream: OK\0stream: X FOUND\0", "failed"],
  ["stream:  FOUND", "failed"],
])("%j is %s", (reply, kind) => {
  expect(outcomeOf(reply).kind).toBe(kind as never);
});

test("an infection names its signature", () => {
  expect(outcomeOf("stream: Eicar-Test-Signature FOUND\0")).toEqual({
    kind: "infected",
    signature: "Eicar-Test-Signature",
  });
});

test("clamd's words before it had everything count when they are about size, never when they say clean", () => {
  const said = (reply: string) => outcomeOfError(new Error(`Scan aborted. Reply from server: ${reply}`));
  expect(said("INSTREAM size limit exceeded. ERROR\0").kind).toBe("too-large");
  expect(said("stream: OK\0").kind).toBe("failed");
  expect(said("stream: X FOUND\0").kind).toBe("failed");
  expect(outcomeOfError(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))).toEqual({
    kind: "failed",
    why: "ECONNREFUSED: connect",
  });
});

test("no damaged answer is clean unless it is exactly the clean one", () => {
  let state = 7;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < 5_000; i++) {
    const letters = [..."stream: OK\0"];
    letters.splice(next(letters.length), next(3), String.fromCharCode(next(128)));
    const reply = letters.join("");
    if (outcomeOf(reply).kind === "clean") expect(reply.replace(/[\0\r\n]+$/, "")).toBe("stream: OK");
  }
});
