import type { Random } from "./draws.testing.ts";

/** What a hostile server says: replies of odd but allowed shapes, and what is none. */
export type Voice = {
  /** How the lines of this server end. */
  lineEnd: "\n" | "\r\n";
  /** A whole reply with this code. */
  reply(code: number): string;
  /** A whole reply with another code than is due. */
  otherReply(codes: readonly number[]): string;
  junk(): string;
};

export function createVoice(random: Random): Voice {
  const lineEnd = random(2) === 0 ? "\n" : "\r\n";
  const word = () =>
    ["ok", "2.0.0 fine", "", "\xff\xfe", "f\xc3\xbcr", "x".repeat(random(300)), "\0"][random(7)];
  const reply = (code: number) => {
    const more = Array.from({ length: random(4) === 0 ? random(6) : 0 }, () => `${code}-${word()}${lineEnd}`);
    return `${more.join("")}${code} ${word()}${lineEnd}`;
  };
  const junk = [
    () => "banana\r\n",
    () => reply(250).replace("250", "2500"),
    () => `250-a\r\n${550 - 100 * random(4)} b\r\n`,
    () => String.fromCharCode(...Array.from({ length: 1 + random(200) }, () => random(256))),
    () => `250 ${"x".repeat(20_000)}\r\n`,
    () => "250-flood\r\n".repeat(20_000),
    () => "250 flood\r\n".repeat(5_000),
    () => "\r\n".repeat(random(50)),
    () => `${random(10)}${random(10)}${random(10)} any\r\n`,
    () => "25",
  ];
  return {
    lineEnd,
    reply,
    otherReply: (codes) => reply(codes[random(codes.length)] ?? 550),
    junk: () => junk[random(junk.length)]?.() ?? "",
  };
}
