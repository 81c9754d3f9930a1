/**
 * A sealed stream: one line of JSON that says how the key is made, then pieces of AES-256-GCM. Each piece is bound to
 * the header, to its place and to whether it is the last, so that nothing can be changed, moved or cut off unnoticed
 * (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { Trouble } from "../trouble.ts";
import { Header, type KeySource, knownKey, newKey } from "./key.ts";

const PIECE_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const HEADER_BYTES_MAX = 4096;
const LINE_FEED = 10;

/** Sealed bytes of what `chunks` gives. */
export async function* seal(
  source: KeySource,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { key, header } = await newKey(source);
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  yield line;
  const piece = sealer(key, line);
  let held = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    // The last piece is known only when nothing comes after it.
    while (held.byteLength > PIECE_BYTES) {
      yield piece(held.subarray(0, PIECE_BYTES), false);
      held = held.subarray(PIECE_BYTES);
    }
  }
  yield piece(held, true);
}

/** The bytes that were sealed. Throws Trouble for a wrong key, and for a file that is none of ours or is damaged. */
export async function* unseal(
  source: KeySource,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  let piece: ((bytes: Buffer, isLast: boolean) => Buffer) | undefined;
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    if (piece === undefined) {
      const end = held.indexOf(LINE_FEED);
      if (end < 0 && held.byteLength <= HEADER_BYTES_MAX) continue;
      const line = held.subarray(0, end + 1);
      piece = opener(await knownKey(source, readHeader(line)), line);
      held = held.subarray(end + 1);
    }
    while (held.byteLength > PIECE_BYTES + TAG_BYTES) {
      yield piece(held.subarray(0, PIECE_BYTES + TAG_BYTES), false);
      held = held.subarray(PIECE_BYTES + TAG_BYTES);
    }
  }
  if (piece === undefined) throw notABackup();
  yield piece(held, true);
}

function readHeader(line: Buffer): Header {
  try {
    return Header.parse(JSON.parse(line.toString()));
  } catch (error) {
    throw notABackup(error);
  }
}

const notABackup = (cause?: unknown) => new Trouble("this file is not a backup of Tyto", undefined, cause);

function sealer(key: Buffer, header: Buffer) {
  const nonce = nonces();
  const context = createHash("sha256").update(header).digest();
  return (bytes: Buffer, isLast: boolean): Buffer => {
    const cipher = createCipheriv("aes-256-gcm", key, nonce(isLast)).setAAD(context);
    return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  };
}

function opener(key: Buffer, header: Buffer) {
  const nonce = nonces();
  const context = createHash("sha256").update(header).digest();
  return (sealed: Buffer, isLast: boolean): Buffer => {
    const at = sealed.byteLength - TAG_BYTES;
    if (at < 0) throw damaged();
    const decipher = createDecipheriv("aes-256-gcm", key, nonce(isLast)).setAAD(context);
    decipher.setAuthTag(sealed.subarray(at));
    const opened = decipher.update(sealed.subarray(0, at));
    try {
      return Buffer.concat([opened, decipher.final()]);
    } catch (error) {
      throw damaged(error);
    }
  };
}

const damaged = (cause?: unknown) =>
  new Trouble("the backup is damaged: it was changed, or cut off", "take another copy of it", cause);

/** The key is new for each backup, so counting is enough: 11 bytes of number, one that marks the end. */
function nonces(): (isLast: boolean) => Buffer {
  let number = 0;
  return (isLast) => {
    const nonce = Buffer.alloc(NONCE_BYTES);
    nonce.writeUIntBE(number++, 5, 6);
    nonce[NONCE_BYTES - 1] = isLast ? 1 : 0;
    return nonce;
  };
}
