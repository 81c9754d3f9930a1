/** Commit timestamps on the wire: base64 of nanoseconds since 1970 as a little-endian u64. Here: microseconds. */
export function encodeTs(ts: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(ts) * 1000n);
  return bytes.toString("base64");
}

/** Null for text that is no timestamp. */
export function decodeTs(text: string): number | null {
  const bytes = Buffer.from(text, "base64");
  if (bytes.byteLength !== 8) return null;
  return Number(bytes.readBigUInt64LE(0) / 1000n);
}
