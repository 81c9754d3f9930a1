import { expect, test } from "bun:test";
import { dotted, endingOf, stuffed } from "./dots.ts";

const whole = (...texts: string[]) => {
  const parts = texts.map((text) => Buffer.from(text));
  return dotted(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  ).toString();
};

/** What a server makes of it (RFC 5321 §4.5.2). */
const undotted = (wire: string) => {
  expect(wire).toEndWith("\r\n.\r\n");
  return wire.slice(0, -3).replace(/(^|\n)\.\./g, "$1.");
};

test("a message without dots gets its ending and nothing else", () => {
  expect(whole("Subject: a\r\n", "\r\nHello.\r\n")).toBe("Subject: a\r\n\r\nHello.\r\n.\r\n");
});

test("every dot that begins a line is doubled, also where parts meet", () => {
  expect(whole(".a\r\n", ".\r\n..\r\nx.\r\n")).toBe("..a\r\n..\r\n...\r\nx.\r\n.\r\n");
});

test("a last line without an end gets one", () => {
  expect(whole("a\r\n\r\nb")).toBe("a\r\n\r\nb\r\n.\r\n");
  expect(whole("a\r\n.")).toBe("a\r\n..\r\n.\r\n");
  expect(whole("")).toBe(".\r\n");
});

test("nothing inside a message ends it, however it is cut into pieces", () => {
  let seed = 11;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  for (let round = 0; round < 3_000; round++) {
    const alphabet = [".", "\r\n", "\n", "\r", "a"];
    const text = Array.from({ length: random(20) }, () => alphabet[random(alphabet.length)]).join("");
    const ended = text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`;
    const wire = whole(text);
    if (text !== "") expect(undotted(wire)).toBe(ended);
    expect(wire.indexOf("\n.\r\n")).toBe(text === "" ? -1 : wire.length - 4);

    const cut = random(text.length + 1);
    const pieces = [Buffer.from(text.slice(0, cut)), Buffer.from(text.slice(cut))];
    let isLineStart = true;
    let inPieces = "";
    for (const piece of pieces) {
      inPieces += stuffed(piece, isLineStart).toString();
      if (piece.length > 0) isLineStart = piece.at(-1) === 10;
    }
    expect(inPieces + endingOf(pieces)).toBe(wire);
  }
});
