import { expect, test } from "bun:test";
import { createReplies } from "./replies.ts";

type Answer = [number, string] | "malformed";

/** All that came of `text`, fed in pieces of `size` bytes. */
function read(text: string, size = text.length) {
  const replies = createReplies();
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length; at += Math.max(1, size)) replies.feed(bytes.subarray(at, at + size));
  const out: Answer[] = [];
  for (let reply = replies.next(); reply !== undefined; reply = replies.next()) {
    out.push(reply.kind === "reply" ? [reply.code, reply.text] : "malformed");
    if (reply.kind === "malformed") break;
  }
  return { out, unfinished: replies.unfinished, hasUnread: replies.hasUnread };
}

const cases: [string, string, Answer[]][] = [
  ["one line", "250 2.0.0 Ok\r\n", [[250, "250 2.0.0 Ok"]]],
  ["a code alone", "250\r\n", [[250, "250"]]],
  ["a code and a space", "250 \r\n", [[250, "250 "]]],
  ["several lines", "250-a\r\n250-b\r\n250 c\r\n", [[250, "250-a\n250-b\n250 c"]]],
  [
    "bare LF",
    "250-a\n250 b\n354 go\n",
    [
      [250, "250-a\n250 b"],
      [354, "354 go"],
    ],
  ],
  [
    "several replies in one piece",
    "250 a\r\n550 b\r\n354 c\r\n",
    [
      [250, "250 a"],
      [550, "550 b"],
      [354, "354 c"],
    ],
  ],
  [
    "empty lines between replies",
    "\r\n\r\n250 a\r\n\r\n250 b\r\n",
    [
      [250, "250 a"],
      [250, "250 b"],
    ],
  ],
  [
    "a line without a code inside",
    "550-no\r\n\r\nask them\r\n550 end\r\n",
    [[550, "550-no\n\nask them\n550 end"]],
  ],
  ["NUL and controls", "550 a\0\x07b\r\n", [[550, "550 a\0\x07b"]]],
  ["UTF-8", "550 f\xc3\xbcr\r\n", [[550, "550 für"]]],
  ["bytes that are not UTF-8", "550 f\xfcr\r\n", [[550, "550 für"]]],
  ["two codes in one reply", "250-a\r\n550 b\r\n", ["malformed"]],
  ["an ending with another code", "550-a\r\n250 b\r\n", ["malformed"]],
  ["words", "banana\r\n", ["malformed"]],
  ["a code of four digits", "2500 a\r\n", ["malformed"]],
  ["a code of two digits", "25 a\r\n", ["malformed"]],
  ["a code out of range", "650 a\r\n", ["malformed"]],
  ["a code below 200", "150 a\r\n", ["malformed"]],
  ["a space before the code", " 250 a\r\n", ["malformed"]],
  ["a tab behind the code", "250\ta\r\n", ["malformed"]],
  ["a good reply before words", "250 a\r\nbanana\r\n250 b\r\n", [[250, "250 a"], "malformed"]],
  ["bare CR ends nothing", "250 a\r250 b\r\n", [[250, "250 a\r250 b"]]],
  ["a line that is too long", `250 ${"x".repeat(9_000)}\r\n`, ["malformed"]],
  ["a line that never ends", `250 ${"x".repeat(9_000)}`, ["malformed"]],
  ["a reply that never ends", `250-${"x".repeat(500)}\r\n`.repeat(200), ["malformed"]],
  ["a flood of empty lines", "\r\n".repeat(100_000), []],
];

test.each(cases)("%s", (_name, text, expected) => {
  expect(read(text).out).toEqual(expected);
});

test("pieces of any size read the same", () => {
  for (const [, text] of cases)
    for (const size of [1, 2, 3, 7, 64])
      expect(read(text.slice(0, 12_000), size)).toEqual(read(text.slice(0, 12_000)));
});

test("replies that nobody asked for are kept up to a bound", () => {
  const replies = createReplies();
  for (let i = 0; i < 1_000; i++) replies.feed(Buffer.from("250 ok\r\n"));
  let count = 0;
  while (replies.next()?.kind === "reply") count++;
  expect(count).toBeLessThan(10);
});

test("what has not ended can be looked at", () => {
  expect(read("55")).toEqual({ out: [], unfinished: "55", hasUnread: true });
  expect(read("550-a\r\n550 b")).toEqual({ out: [], unfinished: "550-a\n550 b", hasUnread: true });
  expect(read("250 a\r\n")).toMatchObject({ unfinished: "", hasUnread: false });
});

test("random bytes never end in a reply that was not there", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const alphabet = ["250", "550", "354", " ", "-", "\r\n", "\n", "\r", "\0", "\xff", "x", "2", "5", "0"];
  for (let round = 0; round < 3_000; round++) {
    const text = Array.from({ length: random(30) }, () => alphabet[random(alphabet.length)]).join("");
    const { out } = read(text, 1 + random(5));
    for (const reply of out)
      if (Array.isArray(reply)) {
        const lines = String(reply[1]).split("\n");
        expect(lines[0]).toStartWith(String(reply[0]));
        expect(lines.at(-1)).toMatch(new RegExp(`^${reply[0]}( |$)`, "s"));
      }
  }
});
