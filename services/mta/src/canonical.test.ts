import { expect, test } from "bun:test";
import { bodyStart, headerFields, relaxedBody, relaxedField, withCrlf } from "./canonical.ts";

test.each([
  ["a\r\nb\r\n", "a\r\nb\r\n"],
  ["a\nb\n", "a\r\nb\r\n"],
  ["a\rb\r", "a\r\nb\r\n"],
  ["\n\r\r\n\n", "\r\n\r\n\r\n\r\n"],
  ["", ""],
])("%j becomes %j on the wire", (text, expected) => {
  expect(withCrlf(Buffer.from(text)).toString()).toBe(expected);
});

test("a message that is right already is not copied", () => {
  const bytes = Buffer.from("a\r\n\r\nb");
  expect(withCrlf(bytes)).toBe(bytes);
});

test.each([
  ["", ""],
  ["\r\n\r\n", ""],
  [" \t \r\n", ""],
  ["a", "a\r\n"],
  [" a \t b  \r\n\tc\r\n \r\n\r\n", " a b\r\n c\r\n"],
  ["a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"],
  ["a \rb", "a \rb\r\n"],
])("the relaxed form of body %j is %j", (body, expected) => {
  expect(relaxedBody(Buffer.from(body)).toString()).toBe(expected);
});

test("the relaxed form of any body is what RFC 6376 §3.4.4 says in words", () => {
  let seed = 5;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const pieces = ["a", "bc", " ", "\t", "\r\n", "\r\n", "\r", "é"];
  for (let round = 0; round < 20_000; round++) {
    const body = withCrlf(
      Buffer.from(Array.from({ length: random(8) }, () => pieces[random(pieces.length)]).join("")),
    ).toString();
    const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
    const text = lines.join("\r\n").replace(/(\r\n)+$/, "");
    expect(relaxedBody(Buffer.from(body)).toString()).toBe(text === "" ? "" : `${text}\r\n`);
  }
});

test("a body of nothing but line ends takes no longer than any other", () => {
  const body = Buffer.from(`${"\r\n".repeat(1_000_000)}x`);
  expect(relaxedBody(body)).toHaveLength(2_000_003);
});

test("fields keep their folding, and lose it in the relaxed form", () => {
  const text = "SubJect:  a\r\n\t b \r\nno colon here\r\nX :  \tc\r\n\r\n: empty name\r\n";
  const fields = headerFields(Buffer.from(text));
  expect(fields.map(relaxedField)).toEqual(["subject:a b", "x:c"]);
});

test("of a field's ends only spaces, tabs and line ends are taken, whatever else looks blank in Latin-1", () => {
  const fields = headerFields(Buffer.from("Subject: \t voilà\r\n \r\nTo:\r\n\ta@b.example \r\nX:\f\r\n"));
  expect(fields.map((field) => Buffer.from(relaxedField(field), "latin1").toString())).toEqual([
    "subject:voilà",
    "to:a@b.example",
    "x:\f",
  ]);
});

test("the body starts behind the empty line", () => {
  expect(bodyStart(Buffer.from("A: b\r\n\r\nbody"))).toBe(8);
  expect(bodyStart(Buffer.from("\r\nbody"))).toBe(2);
  expect(bodyStart(Buffer.from("A: b\r\n"))).toBe(6);
});
