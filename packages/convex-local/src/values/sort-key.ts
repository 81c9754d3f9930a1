import { type Json, type JsonObject, kindOf, readBytes, readFloat64, readInt64 } from "./wire.ts";

/**
 * Bytes whose order is the order of Convex values: undefined < null < int64 < float64 < boolean < string (by
 * UTF-8) < bytes < array < object. Written in the manner of FoundationDB tuples: a tag, then a payload that
 * sorts; 0x00 ends strings and sequences, and a 0x00 inside is followed by 0xFF.
 */
export type SortKey = Uint8Array;

const UNDEFINED = 1;
const NULL = 3;
const INT64_ZERO = 8;
const FLOAT64 = 13;
const FALSE = 14;
const TRUE = 15;
const STRING = 16;
const BYTES = 17;
const ARRAY = 18;
const OBJECT = 21;

const encoder = new TextEncoder();

/** Grows to the longest key seen; a document is at most 1 MiB, which bounds it. */
let scratch = new Uint8Array(1024);
let view = new DataView(scratch.buffer);
let length = 0;

function reserve(bytes: number): void {
  if (length + bytes <= scratch.byteLength) return;
  const larger = new Uint8Array(Math.max(scratch.byteLength * 2, length + bytes));
  larger.set(scratch.subarray(0, length));
  scratch = larger;
  view = new DataView(scratch.buffer);
}

function byte(value: number): void {
  reserve(1);
  scratch[length++] = value;
}

/** The key of a row: its values one after another. */
export function sortKey(values: readonly (Json | undefined)[]): SortKey {
  length = 0;
  for (const value of values) write(value);
  return scratch.slice(0, length);
}

function write(value: Json | undefined): void {
  // What most fields of an index are.
  if (typeof value === "string") {
    writeString(value);
    return;
  }
  if (typeof value === "number") {
    writeFloat(value);
    return;
  }
  switch (kindOf(value)) {
    case "undefined":
      byte(UNDEFINED);
      break;
    case "null":
      byte(NULL);
      break;
    case "int64":
      writeInteger(readInt64(value as Json));
      break;
    case "float64":
      writeFloat(readFloat64(value as Json));
      break;
    case "boolean":
      byte(value === true ? TRUE : FALSE);
      break;
    case "bytes":
      byte(BYTES);
      writeEscaped(readBytes(value as Json));
      break;
    case "array":
      byte(ARRAY);
      for (const element of value as Json[]) write(element);
      byte(0);
      break;
    case "object": {
      byte(OBJECT);
      const object = value as JsonObject;
      for (const key of Object.keys(object).sort()) {
        writeString(key);
        write(object[key]);
      }
      byte(0);
      break;
    }
  }
}

function writeInteger(value: bigint): void {
  const magnitude = value < 0n ? -value : value;
  const widths = [1, 2, 4, 8] as const;
  if (magnitude === 0n) {
    byte(INT64_ZERO);
    return;
  }
  const step = widths.findIndex((width) => magnitude < 1n << BigInt(8 * width));
  const width = widths[step] ?? 8;
  // Wider negatives sort first, so their tags count down from zero's; payloads are shifted to be positive.
  byte(value < 0n ? INT64_ZERO - 1 - step : INT64_ZERO + 1 + step);
  const payload = value < 0n ? (1n << BigInt(8 * width)) - 1n + value : value;
  reserve(width);
  for (let shift = width - 1; shift >= 0; shift--) {
    scratch[length++] = Number((payload >> BigInt(8 * shift)) & 0xffn);
  }
}

function writeFloat(value: number): void {
  byte(FLOAT64);
  reserve(8);
  view.setFloat64(length, value);
  // IEEE 754 sorts as an unsigned number once negatives are inverted and positives get their top bit set.
  const isNegative = ((scratch[length] ?? 0) & 0x80) !== 0;
  if (isNegative) for (let i = 0; i < 8; i++) scratch[length + i] = ~(scratch[length + i] ?? 0);
  else scratch[length] = (scratch[length] ?? 0) | 0x80;
  length += 8;
}

/** Short texts are written by hand: the encoder's call costs more than they do. */
const SHORT_CHARS_MAX = 64;

function writeString(value: string): void {
  byte(STRING);
  if (value.length <= SHORT_CHARS_MAX && writeAscii(value)) return;
  if (value.includes("\0")) {
    writeEscaped(encoder.encode(value));
    return;
  }
  reserve(value.length * 3 + 1);
  length += encoder.encodeInto(value, scratch.subarray(length)).written;
  scratch[length++] = 0;
}

/** Writes text of printable ASCII and its end; false, with nothing written, for any other. */
function writeAscii(value: string): boolean {
  reserve(value.length + 1);
  let at = length;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 32 || code > 126) return false;
    scratch[at++] = code;
  }
  scratch[at++] = 0;
  length = at;
  return true;
}

function writeEscaped(bytes: Uint8Array): void {
  reserve(bytes.byteLength * 2 + 1);
  for (const value of bytes) {
    scratch[length++] = value;
    if (value === 0) scratch[length++] = 0xff;
  }
  scratch[length++] = 0;
}

export const compareKeys = (left: SortKey, right: SortKey): number => Buffer.compare(left, right);

/** Orders two values as an index would. */
export function compareValues(left: Json | undefined, right: Json | undefined): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  return compareKeys(sortKey([left]), sortKey([right]));
}

/**
 * A key above every row that starts with these values, and below every row that starts with greater ones. Tags
 * are small, so 0xFF ends them all; but a longer string goes on with 0xFF after its 0x00, and so stays above.
 */
export function keyAfterPrefix(prefix: SortKey): SortKey {
  const after = new Uint8Array(prefix.byteLength + 1);
  after.set(prefix);
  after[prefix.byteLength] = 0xff;
  return after;
}

/** The smallest key greater than `key`. */
export function keyAfter(key: SortKey): SortKey {
  const after = new Uint8Array(key.byteLength + 1);
  after.set(key);
  return after;
}
