/**
 * What makes two arrivals the same message. Servers on the way add lines in front, so the same report over two paths
 * differs in its trace (RFC 5321 §4.4); what its author wrote does not.
 */

/** 128 bits in hex. */
export type Identity = string;

/** Header fields that the author's software writes. */
const own = new Set(["message-id", "date", "from", "to", "subject"]);
/** A header section beyond this is not looked into. */
export const headerBytesMax = 262_144;

/** Takes the bytes in order, in parts of any size. */
export function identify() {
  const hasher = new Bun.CryptoHasher("sha256");
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let header: Uint8Array | undefined;
  let isBody = false;

  const endHead = (whole: Uint8Array, headerBytes: number | undefined) => {
    isBody = true;
    head.length = 0;
    if (headerBytes === undefined) return void hasher.update(whole);
    header = whole.slice(0, headerBytes);
    hasher.update(ownFields(header)).update("\n").update(whole.subarray(headerBytes));
  };

  return {
    add(bytes: Uint8Array) {
      if (isBody) return void hasher.update(bytes);
      head.push(bytes.slice());
      headBytes += bytes.length;
      const whole = Buffer.concat(head);
      const end = headerEnd(whole);
      if (end !== undefined && end <= headerBytesMax) endHead(whole, end);
      else if (headBytes > headerBytesMax) endHead(whole, undefined);
      else head.splice(0, head.length, whole);
    },
    end(): { header: Uint8Array | undefined; digest: Identity } {
      // A header section without a body.
      if (!isBody) endHead(Buffer.concat(head), headBytes);
      return { header, digest: hasher.digest("hex").slice(0, 32) };
    },
  };
}

/** Where the empty line begins that ends the header section. */
function headerEnd(bytes: Buffer): number | undefined {
  if (bytes[0] === 0x0a || (bytes[0] === 0x0d && bytes[1] === 0x0a)) return 0;
  const ends = ["\r\n\r\n", "\n\n", "\n\r\n"].map((mark) => bytes.indexOf(mark)).filter((at) => at !== -1);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/** The fields that count, in order of their names, with folding undone. */
function ownFields(header: Uint8Array): string {
  return Buffer.from(header)
    .toString("latin1")
    .replace(/\r?\n[ \t]+/g, " ")
    .split(/\r?\n/)
    .flatMap((line) => {
      const name = line.slice(0, line.indexOf(":")).trim().toLowerCase();
      return own.has(name) ? `${name}:${line.slice(line.indexOf(":") + 1).trim()}` : [];
    })
    .toSorted()
    .join("\n");
}

/** The id of one recipient's share in a message. `rawId` is its front: the bytes are stored once for all of them. */
export const inboundIdOf = (identity: Identity, recipient: string): string =>
  `${identity}-${shortHash(recipient.toLowerCase())}`;

export const shortHash = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 16);
