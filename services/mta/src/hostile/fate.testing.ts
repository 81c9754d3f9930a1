import type { Sent } from "../trouble.ts";

/** What the server knows of one message, by the number in its return path. */
export type Fate = {
  /** The digest of what was received whole, dots taken away. */
  body?: string;
  /** What was said since MAIL; of floods the beginning. */
  said: string;
  /** What was said to the whole message, when it was said to its end. */
  answer?: string;
  /** More was said than asked: an answer may stand where it does not belong, and nobody could tell. */
  isTalkative: boolean;
  /** The go-ahead came with an answer in the same write, which is none. */
  isPrecocious: boolean;
  isChunked: boolean;
};

/** What the client believes of one message, and the digest of what it sent. */
export type Belief = { id: number; text: string; sent: Sent };

const saidCharsMax = 4_096;

export function remember(fate: Fate, text: string) {
  if (fate.said.length >= saidCharsMax) return;
  // A slice would keep the whole flood in memory.
  fate.said +=
    text.length <= saidCharsMax ? text : Buffer.from(text, "latin1").toString("latin1", 0, saidCharsMax);
}

/** Stands for a message: thousands are remembered, some of them large. */
export const digestOf = (text: string) => (text === "" ? "" : `${text.length} ${Bun.hash(text)}`);

/** Whether the first reply of a text is whole, of one code, and of this class: RFC 5321 §4.2 read in another way. */
export function isReply(text: string, digit: number): boolean {
  const lines = text.split(/\r?\n/);
  if (lines.pop() !== "" && lines.length === 0) return false;
  while (lines[0] === "") lines.shift();
  const code = /^\d\d\d/.exec(lines[0] ?? "")?.[0];
  if (code === undefined || Number(code.charAt(0)) !== digit) return false;
  for (const line of lines) {
    if (line === code || line.startsWith(`${code} `)) return line.length <= 8_192;
    if (/^[2-5]\d\d(?:[ -]|$)/.test(line) && !line.startsWith(`${code}-`)) return false;
  }
  return false;
}

/** What is wrong with the client's belief, if anything. */
export function judge({ sent, text }: Belief, fate: Fate | undefined): string | undefined {
  const isWhole = fate?.body === text;
  // Whoever wants a message for a recipient that it refused gets an empty one.
  const isEmpty = fate?.body === "" && sent.kind === "refused";
  if (fate?.body !== undefined && !isWhole && !isEmpty && !fate.isTalkative)
    return "another message arrived than was sent";
  switch (sent.kind) {
    case "accepted":
      return judgeAccepted(fate, isWhole);
    case "interrupted":
    case "unfit":
      return fate?.body === undefined ? undefined : "the server has got what was not sent";
    case "trouble":
      return isWhole && !sent.isInDoubt
        ? "the server has got it, and the client is sure that not"
        : undefined;
    case "refused":
      return fate?.isTalkative === true || /(?:^|\n)[45]\d\d/.test(fate?.said ?? "")
        ? undefined
        : "refused, and the server has not said so";
  }
}

function judgeAccepted(fate: Fate | undefined, isWhole: boolean): string | undefined {
  if (fate === undefined) return "accepted, and the server has not heard of it";
  if (fate.isPrecocious) return "accepted before the message was sent";
  if (fate.isTalkative && mayHaveAnswered(fate)) return undefined;
  if (!isWhole) return "accepted, and the server has not got it";
  return isReply(fate.answer ?? "", 2) ? undefined : "accepted, and the server has not said so";
}

/** Out of step by its own words, a server may have answered the message with what was meant for something else. */
function mayHaveAnswered({ said, isChunked }: Fate): boolean {
  // A go-ahead and a yes behind it, wherever they were meant to stand.
  if (/(?:^|\n)3\d\d[\s\S]*\n2\d\d(?:[ \r\n-]|$)/.test(said)) return true;
  // With chunks there is no go-ahead: three replies, to MAIL, RCPT and BDAT.
  return isChunked && (said.match(/(?:^|\n)2\d\d(?=[ \r\n]|$)/g)?.length ?? 0) >= 3;
}
