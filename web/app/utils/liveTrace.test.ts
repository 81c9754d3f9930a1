import { expect, test } from "bun:test";
import type { TraceLineView } from "@tyto/contracts";
import { addLines, createEventReader, emptyDialogue, linesMax } from "./liveTrace.ts";

const line = (text: string, session = "s1"): TraceLineView => ({
  ...{ at: "1970-01-01T00:00:01.000Z", process: "mta-abcd", session, host: "mx.test", ip: "192.0.2.1" },
  ...{ egress: "mail1", side: ">", text },
});

test("events are read whatever pieces they come in, and comments are left", () => {
  const stream = `: listening\n\nevent: line\ndata: ${JSON.stringify(line("EHLO x"))}\n\n: still here\n\nevent: dropped\ndata: {"lines":3}\n\nevent: other\ndata: {}\n\nevent: end\ndata: {"why":"over"}\n\n`;
  for (let size = 1; size <= stream.length; size++) {
    const read = createEventReader();
    const events = [];
    for (let from = 0; from < stream.length; from += size)
      events.push(...read(stream.slice(from, from + size)));
    expect(events).toEqual([
      { name: "line", data: line("EHLO x") },
      { name: "dropped", data: { lines: 3 } },
      { name: "end", data: { why: "over" } },
    ]);
  }
});

test("each session begins with whom it is with, once", () => {
  const first = addLines(emptyDialogue, [line("EHLO x"), line("EHLO x", "s2"), line("QUIT")]);
  const { lines } = addLines(first, [line("QUIT", "s2")]);
  expect(lines.map(({ session, side, text }) => `${session} ${side} ${text}`)).toEqual([
    "abcd.s1 head mx.test [192.0.2.1] ← mail1",
    "abcd.s1 > EHLO x",
    "abcd.s2 head mx.test [192.0.2.1] ← mail1",
    "abcd.s2 > EHLO x",
    "abcd.s1 > QUIT",
    "abcd.s2 > QUIT",
  ]);
  expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
});

test("only the latest lines are kept, and what was left out before them is counted", () => {
  const many = Array.from({ length: linesMax + 50 }, (_, index) => line(`NOOP ${index}`));
  const dialogue = addLines(addLines(emptyDialogue, [], 7), many, 2);
  expect(dialogue.lines.length).toBe(linesMax);
  expect(dialogue.lines.at(-1)?.text).toBe(`NOOP ${linesMax + 49}`);
  expect(dialogue.dropped).toBe(9);
});
