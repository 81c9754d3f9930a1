import { isAscii } from "node:buffer";
import type { MessageId } from "@tyto/contracts";
import type { BodyOf } from "./bodies.ts";
import { withCrlf } from "./canonical.ts";
import { bodyHashOf, type SigningKey, signatures } from "./dkim.ts";

/** A message's bytes as they go on the wire, shared by all of its recipients. */
export type Content = {
  bytes: Buffer;
  /** Some byte is above 127, so that servers with 8BITMIME are told (RFC 6152). */
  has8Bit: boolean;
  /**
   * The DKIM-Signature fields for these keys; made once for all recipients, unless their copies differ by `personal` fields,
   * which stand between the signatures and `bytes`, or somebody on the way writes some fields anew, which then stay unsigned.
   */
  signed(keys: readonly SigningKey[], personal?: Buffer, rewritten?: readonly string[]): Promise<Buffer>;
};

export type Contents = {
  get(entry: BodyOf): Promise<Content>;
  forget(messageId: MessageId): void;
  bytes(): number;
};

/**
 * Contents of messages in hand, kept up to `bytesMax`; the one unused for longest leaves first. Recipients of one
 * message that are sent side by side share one read and one signature.
 */
export function createContents(
  load: (entry: BodyOf) => Promise<Uint8Array>,
  bytesMax: number,
  now: () => number,
): Contents {
  const kept = new Map<MessageId, { loading: Promise<Content>; bytes: number }>();
  let bytes = 0;

  const forget = (messageId: MessageId) => {
    bytes -= kept.get(messageId)?.bytes ?? 0;
    kept.delete(messageId);
  };

  function makeRoom() {
    for (const [messageId, entry] of kept) {
      // The newest is in use; one message larger than the bound is kept alone.
      if (bytes <= bytesMax || kept.size === 1) return;
      if (entry.bytes > 0) forget(messageId);
    }
  }

  async function fetch(entry: BodyOf): Promise<Content> {
    const raw = await load(entry);
    return createContent(withCrlf(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)), now);
  }

  return {
    async get(entry) {
      const { messageId } = entry;
      const known = kept.get(messageId);
      if (known !== undefined) {
        kept.delete(messageId);
        kept.set(messageId, known);
        return known.loading;
      }
      const fresh = { loading: fetch(entry), bytes: 0 };
      kept.set(messageId, fresh);
      try {
        const content = await fresh.loading;
        if (kept.get(messageId) === fresh) {
          fresh.bytes = content.bytes.length;
          bytes += fresh.bytes;
          makeRoom();
        }
        return content;
      } catch (error) {
        if (kept.get(messageId) === fresh) kept.delete(messageId);
        throw error;
      }
    },
    forget,
    bytes: () => bytes,
  };
}

function createContent(bytes: Buffer, now: () => number): Content {
  let bodyHash: string | undefined;
  let latest: { keys: readonly SigningKey[]; signing: Promise<Buffer> } | undefined;
  return {
    bytes,
    has8Bit: !isAscii(bytes),
    signed(keys, personal, rewritten = []) {
      if (personal !== undefined || rewritten.length > 0) {
        bodyHash ??= bodyHashOf(bytes);
        return signatures(bytes, keys, Math.floor(now() / 1_000), personal, bodyHash, rewritten);
      }
      // Keys of one domain are one array as long as they are the same (signers.ts), so identity is enough.
      if (latest?.keys !== keys) {
        latest = { keys, signing: signatures(bytes, keys, Math.floor(now() / 1_000)) };
        latest.signing.catch(() => {
          latest = undefined;
        });
      }
      return latest.signing;
    },
  };
}
