/** Each line and each part costs something, however short. `dashLines`: lines that could divide parts. */
export type FrontMax = { bytes: number; lines: number; dashLines: number };

/** The front of a message, cut where one of the bounds is met. */
export function frontOf(bytes: Uint8Array, max: FrontMax): Uint8Array {
  const [lineFeed, dash] = [0x0a, 0x2d];
  const front = bytes.subarray(0, max.bytes);
  let dashLines = 0;
  let lines = 0;
  for (let at = front.indexOf(lineFeed); at !== -1; at = front.indexOf(lineFeed, at + 1)) {
    if (front[at + 1] === dash && front[at + 2] === dash) dashLines++;
    if (++lines > max.lines || dashLines > max.dashLines) return front.subarray(0, at + 1);
  }
  return front;
}
