const DOT = 46;
const lineThenDot = Buffer.from("\n.");
const end = Buffer.from(".\r\n");
const endOfOpenLine = Buffer.from("\r\n.\r\n");

/**
 * A whole message as DATA wants it (RFC 5321 §4.5.2): dots that begin a line doubled, and the final dot. A message
 * without such dots costs one copy and one search.
 */
export function dotted(parts: readonly Buffer[], bytes: number): Buffer {
  const ending = endingOf(parts);
  const out = Buffer.allocUnsafe(bytes + ending.length);
  let at = 0;
  for (const part of parts) at += part.copy(out, at);
  ending.copy(out, at);
  const bodyEnd = out.length - end.length;
  // The search finds the final dot at the latest.
  const isClean = out[0] !== DOT && out.indexOf(lineThenDot) === bodyEnd - 1;
  return isClean ? out : Buffer.concat([stuffed(out.subarray(0, bodyEnd), true), end]);
}

/** A piece of a message with its dots doubled; `isLineStart` tells where its first byte stands. May be its argument. */
export function stuffed(piece: Buffer, isLineStart: boolean): Buffer {
  const out: Buffer[] = [];
  let from = 0;
  if (isLineStart && piece[0] === DOT) out.push(end.subarray(0, 1));
  for (let at = piece.indexOf(lineThenDot); at !== -1; at = piece.indexOf(lineThenDot, from)) {
    // From here on the dot is still to come, so it is there twice.
    out.push(piece.subarray(from, at + 2));
    from = at + 1;
  }
  return out.length === 0 ? piece : Buffer.concat([...out, piece.subarray(from)]);
}

/** What ends the message: the final dot, behind the end of the last line if that is missing. */
export function endingOf(parts: readonly Buffer[]): Buffer {
  let tail = "";
  for (const part of parts) tail = (tail + part.toString("latin1", Math.max(0, part.length - 2))).slice(-2);
  return tail === "" || tail === "\r\n" ? end : endOfOpenLine;
}
