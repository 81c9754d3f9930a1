import { expect, test } from "bun:test";
import { rawPath, rawShownBytesMax, rawText } from "./rawMessage.ts";

test("a file of Convex is read through our own origin, wherever Convex says that it is", () => {
  expect(rawPath("http://127.0.0.1:3210/api/storage/ab-12")).toBe("/convex/api/storage/ab-12");
});

test("text is shown as it is, line ends and bytes of old charsets included", () => {
  expect(rawText(new TextEncoder().encode("Subject: grüß\r\n\r\nA\tB\n"))).toEqual({
    text: "Subject: grüß\n\nA\tB\n",
    isCut: false,
  });
  expect(rawText(Uint8Array.of(0x67, 0xfc)).text).toBe("gü");
});

test("characters that hide or turn text are shown by their number", () => {
  expect(rawText(new TextEncoder().encode("a\0b\u202Ec\u001b[0m\rd")).text).toBe("a<00>b<202E>c<1B>[0m<0D>d");
});

test("a large message is cut, also in the middle of a character", () => {
  const bytes = new TextEncoder().encode("ü".repeat(rawShownBytesMax));
  const { text, isCut } = rawText(bytes.subarray(1));
  expect([isCut, text.length]).toEqual([true, rawShownBytesMax]);
  expect(rawText(bytes).text.endsWith("ü")).toBe(true);
});
