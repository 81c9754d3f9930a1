/**
 * Document ids: base32 of VInt(table number), 16 bytes of internal id and a fletcher16 checksum.
 * 31 to 37 characters. The internal id starts with the time, so that new rows append to their B-tree.
 */
export type DocumentId = { tableNumber: number; internalId: Uint8Array };

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const INTERNAL_ID_BYTES = 16;
const CHECKSUM_BYTES = 2;
const ID_CHARS_MAX = 37;
const VALUES = new Map([...ALPHABET].map((char, value) => [char, value]));

export function newId(tableNumber: number, nowMs: number, random: (bytes: Uint8Array) => void): string {
  const internalId = new Uint8Array(INTERNAL_ID_BYTES);
  random(internalId);
  Buffer.from(internalId.buffer).writeUIntBE(Math.floor(nowMs) % 2 ** 48, 0, 6);
  return encodeId({ tableNumber, internalId });
}

export function encodeId({ tableNumber, internalId }: DocumentId): string {
  const bytes: number[] = [];
  let rest = tableNumber >>> 0;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest, ...internalId);
  const checksum = fletcher16(bytes);
  bytes.push(checksum & 0xff, checksum >> 8);
  return base32(bytes);
}

/** The parts of an id, or null when the text is no id. */
export function decodeId(text: string): DocumentId | null {
  if (text.length > ID_CHARS_MAX) return null;
  const bytes = fromBase32(text);
  if (bytes === null) return null;
  let tableNumber = 0;
  let at = 0;
  for (; ; at++) {
    const value = bytes[at];
    if (value === undefined || at > 4) return null;
    tableNumber += (value & 0x7f) * 2 ** (7 * at);
    if (value < 0x80) break;
  }
  at++;
  if (bytes.length !== at + INTERNAL_ID_BYTES + CHECKSUM_BYTES || tableNumber > 0xffffffff) return null;
  const body = bytes.slice(0, -CHECKSUM_BYTES);
  const checksum = fletcher16(body);
  if (bytes.at(-2) !== (checksum & 0xff) || bytes.at(-1) !== checksum >> 8) return null;
  const id = { tableNumber, internalId: Uint8Array.from(body.slice(at)) };
  // One spelling per id: unused bits and padded VInts are refused.
  return encodeId(id) === text ? id : null;
}

function fletcher16(bytes: readonly number[]): number {
  let low = 0;
  let high = 0;
  for (const value of bytes) {
    low = (low + value) & 0xff;
    high = (high + low) & 0xff;
  }
  return (high << 8) | low;
}

function base32(bytes: readonly number[]): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const value of bytes) {
    held = (held << 8) | value;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}

function fromBase32(text: string): number[] | null {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const char of text) {
    const value = VALUES.get(char);
    if (value === undefined) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 0xff);
      held &= (1 << bits) - 1;
    }
  }
  return bytes;
}
