/** Files inside gzip (RFC 1952) and zip, inflated within bounds: what is larger than it may be is not inflated to its end. */
import { gunzipSync, inflateRawSync } from "node:zlib";
import { phrase } from "@tyto/contracts";

export const inflatedBytesMax = 20 * 1_048_576;
/** Real reports shrink to a twentieth; a bomb to a thousandth. */
const ratioMax = 150;
/** Small files may shrink as they like. */
const ratioFreeBytes = 1_048_576;
const entriesMax = 20;

export type Unpacked = { bytes: Uint8Array } | { problem: string };

/** The file inside, or the bytes themselves when they are no archive. A zip may hold one file, beside folders. */
export function unpack(bytes: Uint8Array): Unpacked {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b)
    return inflate(bytes, (max) => gunzipSync(bytes, { maxOutputLength: max }));
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return unzip(bytes);
  return { bytes };
}

function inflate(packed: Uint8Array, work: (bytesMax: number) => Uint8Array): Unpacked {
  const bytesMax = Math.min(inflatedBytesMax, Math.max(ratioFreeBytes, packed.length * ratioMax));
  try {
    return { bytes: work(bytesMax) };
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
    if (code === "ERR_BUFFER_TOO_LARGE" || error instanceof RangeError)
      return { problem: phrase("file.large", { max: bytesMax }) };
    return {
      problem: phrase("file.damaged", {
        code: code || (error instanceof Error ? error.message : String(error)).slice(0, 80),
      }),
    };
  }
}

/** Reads the local file headers in order (APPNOTE 4.3.7), by the sizes of the central directory where they are left out. */
function unzip(bytes: Uint8Array): Unpacked {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const files: { at: number; packed: number; method: number }[] = [];
  // The end of central directory record is within the last 65,557 bytes (APPNOTE 4.3.16).
  const end = view.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end === -1 || end + 22 > view.length) return { problem: phrase("file.no-directory", {}) };
  let place = view.readUInt32LE(end + 16);
  for (let entry = 0; entry < view.readUInt16LE(end + 10); entry++) {
    if (entry >= entriesMax) return { problem: phrase("file.many", { max: entriesMax }) };
    if (place + 46 > view.length || view.readUInt32LE(place) !== 0x02014b50)
      return { problem: phrase("file.bad-directory", {}) };
    const nameBytes = view.readUInt16LE(place + 28);
    const name = view.toString("latin1", place + 46, place + 46 + Math.min(nameBytes, 1_000));
    if (view.readUInt16LE(place + 8) & 1) return { problem: phrase("file.encrypted", {}) };
    if (!name.endsWith("/") && !name.startsWith("__MACOSX"))
      files.push({
        at: view.readUInt32LE(place + 42),
        packed: view.readUInt32LE(place + 20),
        method: view.readUInt16LE(place + 10),
      });
    place += 46 + nameBytes + view.readUInt16LE(place + 30) + view.readUInt16LE(place + 32);
  }
  const [file] = files;
  if (file === undefined || files.length > 1)
    return { problem: phrase("file.not-one", { count: files.length }) };
  if (file.at + 30 > view.length || view.readUInt32LE(file.at) !== 0x04034b50)
    return { problem: phrase("file.bad-entry", {}) };
  const start = file.at + 30 + view.readUInt16LE(file.at + 26) + view.readUInt16LE(file.at + 28);
  const packed = bytes.subarray(start, start + file.packed);
  if (packed.length < file.packed) return { problem: phrase("file.cut", {}) };
  if (file.method === 0) return { bytes: packed };
  if (file.method !== 8) return { problem: phrase("file.method", { method: file.method }) };
  return inflate(packed, (max) => inflateRawSync(packed, { maxOutputLength: max }));
}
