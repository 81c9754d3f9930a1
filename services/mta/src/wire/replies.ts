/** A reply of a server as it came: its lines with their codes, joined by \n. */
export type WireReply = { kind: "reply"; code: number; text: string };

/** Bytes that are no reply, and what is wrong with them. Nothing that comes behind them can be understood either. */
export type Malformed = { kind: "malformed"; why: string };

export type Replies = {
  feed(bytes: Buffer): void;
  /** The next reply that is complete. What was malformed once stays so. */
  next(): WireReply | Malformed | undefined;
  /** Something came that nobody has taken: replies, or the beginning of one. */
  readonly hasUnread: boolean;
  /** What came of a reply that has not ended. */
  readonly unfinished: string;
};

/** RFC 5321 §4.5.3.1.5 allows 512; real servers write whole paragraphs. */
const lineBytesMax = 8_192;
const replyBytesMax = 65_536;
/** Complete replies that wait to be read; an envelope of one recipient has three. */
const unreadMax = 8;

const HYPHEN = 45;
const SPACE = 32;

/**
 * Reads SMTP replies (RFC 5321 §4.2) out of pieces of any size. All coded lines of a reply have the same code
 * (§4.2.1); lines without one inside a reply of several lines belong to its text, as they do for Postfix, and empty
 * lines between replies say nothing. A bare LF ends a line too. Memory is bounded whatever comes.
 */
export function createReplies(): Replies {
  const ready: WireReply[] = [];
  /** The line under way, one character per byte. */
  let line = "";
  /** The lines of the reply under way, and their code; 0 between replies. */
  let text = "";
  let code = 0;
  let malformed: Malformed | undefined;

  function spoil(why: string) {
    malformed = { kind: "malformed", why };
    line = "";
    text = "";
  }

  function endLine(current: string) {
    const found = codeOf(current);
    if (code === 0) {
      if (current === "") return;
      if (found === 0) return spoil(`no reply: ${quote(current)}`);
      text = current;
    } else {
      if (found !== 0 && found !== code)
        return spoil(`a reply with two codes: ${quote(`${text}\n${current}`)}`);
      if (text.length + current.length > replyBytesMax)
        return spoil(`a reply of more than ${replyBytesMax} bytes`);
      text = `${text}\n${current}`;
    }
    if (found === 0 || current.charCodeAt(3) === HYPHEN) {
      code ||= found;
      return;
    }
    if (ready.length >= unreadMax) return spoil(`more than ${unreadMax} replies that nobody asked for`);
    ready.push({ kind: "reply", code: found, text: decoded(text) });
    text = "";
    code = 0;
  }

  return {
    feed(bytes) {
      if (malformed !== undefined) return;
      const piece = bytes.toString("latin1");
      let start = 0;
      for (let end = piece.indexOf("\n"); end !== -1; end = piece.indexOf("\n", start)) {
        const whole = line === "" ? piece.slice(start, end) : line + piece.slice(start, end);
        start = end + 1;
        line = "";
        if (whole.length > lineBytesMax) return spoil(`a line of more than ${lineBytesMax} bytes`);
        endLine(whole.endsWith("\r") ? whole.slice(0, -1) : whole);
        if (malformed !== undefined) return;
      }
      if (start < piece.length) line += piece.slice(start);
      if (line.length > lineBytesMax) spoil(`a line of more than ${lineBytesMax} bytes`);
    },
    next: () => ready.shift() ?? malformed,
    get hasUnread() {
      return ready.length > 0 || line !== "" || code !== 0 || malformed !== undefined;
    },
    get unfinished() {
      return decoded(text === "" || line === "" ? text + line : `${text}\n${line}`);
    },
  };
}

/** The code of a line, or 0 when it has none: three digits, and nothing behind them, a space, or a hyphen. */
function codeOf(line: string): number {
  const first = line.charCodeAt(0) - 48;
  const second = line.charCodeAt(1) - 48;
  const third = line.charCodeAt(2) - 48;
  const isCode =
    first >= 2 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9 && hasEnd(line);
  return isCode ? 100 * first + 10 * second + third : 0;
}

function hasEnd(line: string): boolean {
  if (line.length === 3) return true;
  const next = line.charCodeAt(3);
  return next === SPACE || next === HYPHEN;
}

/** RFC 5321 knows ASCII only; servers write UTF-8, and old ones whatever their system speaks. */
function decoded(text: string): string {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  const utf8 = Buffer.from(text, "latin1").toString("utf8");
  return utf8.includes("\ufffd") ? text : utf8;
}

const quote = (text: string) => JSON.stringify(text.slice(0, 100));
