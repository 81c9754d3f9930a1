import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import { UserError } from "../functions/errors.ts";
import type { SortKey } from "../values/sort-key.ts";

/** A place between two rows of one query: after the row with this key, or after the last row. */
export type Position = { kind: "after"; key: SortKey } | { kind: "end" };

const FINGERPRINT_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Turns positions into opaque text and back. Sealed, because an index key holds field values that a filter
 * may have hidden, and bound to the query, because a place in another index means nothing. The same position
 * gives the same text, so that an unchanged page compares equal.
 */
export class Cursors {
  readonly #key: Buffer;

  constructor(instanceSecret: string) {
    this.#key = createHash("sha256").update(`cursor ${instanceSecret}`).digest();
  }

  seal(position: Position, fingerprint: Buffer): string {
    const body = position.kind === "end" ? Buffer.from([0]) : Buffer.concat([Buffer.from([1]), position.key]);
    const plain = Buffer.concat([fingerprint, body]);
    const nonce = createHmac("sha256", this.#key).update(plain).digest().subarray(0, NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url");
  }

  /** Throws UserError `InvalidCursor` for text that is no cursor of this query. */
  open(text: string, fingerprint: Buffer): Position {
    const plain = this.#decrypt(Buffer.from(text, "base64url"));
    if (plain === undefined || !plain.subarray(0, FINGERPRINT_BYTES).equals(fingerprint)) {
      throw new UserError("InvalidCursor", "InvalidCursor: the cursor does not belong to this query");
    }
    const body = plain.subarray(FINGERPRINT_BYTES);
    return body[0] === 0 ? { kind: "end" } : { kind: "after", key: Uint8Array.from(body.subarray(1)) };
  }

  #decrypt(bytes: Buffer): Buffer | undefined {
    if (bytes.byteLength < NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const plain = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    try {
      decipher.final();
    } catch (error) {
      // The tag does not fit: somebody made this cursor up. Anything else would be a bug of ours.
      if (error instanceof Error) return undefined;
      throw error;
    }
    return plain;
  }
}

export const fingerprintOf = (query: string): Buffer =>
  createHash("sha256").update(query).digest().subarray(0, FINGERPRINT_BYTES);
