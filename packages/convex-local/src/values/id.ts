/**
 * Document ids: base32 of VInt(table number), 16 bytes of internal id and a fletcher16 checksum.
 * 31 to 37 characters. The internal id starts with the time, so that new rows append to their B-tree.
 */
export type DocumentId = { tableNumber: number; internalId: Uint8Array };

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const INTERNAL_ID_BYTES = 16;
const CHECKSUM_BYTES = 2;
const TABLE_NUMBER_BYTES_MAX = 5;
const ID_BYTES_MAX = TABLE_NUMBER_BYTES_MAX + INTERNAL_ID_BYTES + CHECKSUM_BYTES;
const ID_CHARS_MAX = 37;
const NO_DIGIT = 255;
/** The value of each ASCII character as a base32 digit. */
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (const [value, char] of [...ALPHABET].entries()) DIGITS[char.charCodeAt(0)] = value;

/** One id at a time is built or read here: ids are made and looked at for every document. */
const scratch = new Uint8Array(ID_BYTES_MAX);

export function newId(tableNumber: number, nowMs: number, random: (bytes: Uint8Array) => void): string {
  const internalId = new Uint8Array(INTERNAL_ID_BYTES);
  random(internalId);
  let rest = Math.floor(nowMs) % 2 ** 48;
  for (let at = 5; at >= 0; at--) {
    internalId[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return encodeId({ tableNumber, internalId });
}

export function encodeId({ tableNumber, internalId }: DocumentId): string {
  let length = 0;
  let rest = tableNumber >>> 0;
  while (rest >= 0x80) {
    scratch[length++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  scratch[length++] = rest;
  scratch.set(internalId, length);
  length += INTERNAL_ID_BYTES;
  const checksum = fletcher16(length);
  scratch[length++] = checksum & 0xff;
  scratch[length++] = checksum >> 8;
  return base32(length);
}

/** The parts of an id, or null when the text is no id. */
export function decodeId(text: string): DocumentId | null {
  const length = fromBase32(text);
  if (length === 0) return null;
  const body = length - CHECKSUM_BYTES;
  let tableNumber = 0;
  let at = 0;
  for (; ; at++) {
    if (at >= TABLE_NUMBER_BYTES_MAX || at >= body) return null;
    const value = scratch[at] ?? 0;
    tableNumber += (value & 0x7f) * 2 ** (7 * at);
    if (value < 0x80) {
      // One spelling per id: a number padded with empty groups is refused.
      if (value === 0 && at > 0) return null;
      break;
    }
  }
  at++;
  if (body !== at + INTERNAL_ID_BYTES || tableNumber > 0xffffffff) return null;
  const checksum = fletcher16(body);
  if (scratch[body] !== (checksum & 0xff) || scratch[body + 1] !== checksum >> 8) return null;
  return { tableNumber, internalId: scratch.slice(at, body) };
}

/** Of the first bytes of the scratch. */
function fletcher16(length: number): number {
  let low = 0;
  let high = 0;
  for (let at = 0; at < length; at++) {
    low = (low + (scratch[at] ?? 0)) & 0xff;
    high = (high + low) & 0xff;
  }
  return (high << 8) | low;
}

function base32(length: number): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (let at = 0; at < length; at++) {
    held = ((held << 8) | (scratch[at] ?? 0)) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}

/** Reads digits into the scratch; gives how many bytes they were, 0 for what cannot be an id. */
function fromBase32(text: string): number {
  if (text.length > ID_CHARS_MAX) return 0;
  let length = 0;
  let bits = 0;
  let held = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const value = code < 128 ? (DIGITS[code] ?? NO_DIGIT) : NO_DIGIT;
    if (value === NO_DIGIT) return 0;
    held = ((held << 5) | value) & 0xffff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      scratch[length++] = held >> bits;
    }
  }
  // One spelling per id: neither a superfluous digit nor bits that mean nothing.
  return bits >= 5 || (held & ((1 << bits) - 1)) !== 0 ? 0 : length;
}
