/**
 * SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989) and ARC (RFC 8617) by mailauth, with our resolver: the runtime's own
 * splits long TXT records.
 */
import { Readable } from "node:stream";
import type { Authentication } from "@tyto/contracts";
import { asNodeResolve, type Resolver } from "@tyto/dns";
import { places } from "@tyto/service";
import { authenticate } from "mailauth";
import type { Spooled } from "./spool/spool.ts";

export type Claimed = {
  message: Pick<Spooled, "header" | "chunks">;
  envelopeFrom: string;
  remoteIp: string;
  helo: string;
};

/** What could not be found out; it is data, and refuses nothing. */
export const unknown: Authentication = {
  spf: "temperror",
  dkim: "temperror",
  dmarc: "temperror",
  arc: "temperror",
};

/** Files that are read for their signatures at the same time. Waiting for DNS needs no place. */
const readingMax = 8;
/** A body without line ends costs the canonicalisation its square; RFC 5322 §2.1.1 allows 998. */
const lineBytesMax = 131_072;

/** Throws what mailauth throws. */
export function createVerify(resolver: Resolver, hostname: string) {
  const reading = places(readingMax);
  return async (
    { message, envelopeFrom, remoteIp, helo }: Claimed,
    header: Uint8Array,
    isSigned: boolean,
  ): Promise<Authentication> => {
    // Without a signature the body says nothing about who sent it.
    const input = isSigned ? Readable.from(wellEnded(message.chunks(), reading)) : headerOnly(header);
    try {
      return resultsOf(
        await authenticate(input, {
          ip: remoteIp,
          helo,
          sender: envelopeFrom,
          mta: hostname,
          disableBimi: true,
          resolver: asNodeResolve(resolver) as never,
        }),
      );
    } catch (error) {
      if (error instanceof LineTooLong) return { ...unknown, dkim: "policy", dmarc: "permerror" };
      throw error;
    } finally {
      if (input instanceof Readable) input.destroy();
    }
  };
}

const resultsOf = ({ spf, dkim, dmarc, arc }: Awaited<ReturnType<typeof authenticate>>): Authentication => ({
  spf: resultOf(spf),
  dkim: dkim?.results?.some((one) => one.status?.result === "pass") ? "pass" : resultOf(dkim?.results?.[0]),
  dmarc: resultOf(dmarc),
  arc: resultOf(arc),
});

/** mailauth gives `{ status: { result } }`, or false where there was nothing to check. */
function resultOf(part: unknown): string {
  if (typeof part !== "object" || part === null || !("status" in part)) return "none";
  const { status } = part;
  return typeof status === "object" && status !== null && "result" in status
    ? String(status.result).slice(0, 20)
    : "none";
}

/**
 * The bytes with CRLF for each bare LF: mailauth does the same, at the price of a promise each. Holds a place while it
 * reads; waiting for DNS comes after and needs none.
 */
async function* wellEnded(
  chunks: AsyncIterable<Uint8Array>,
  reading: ReturnType<typeof places>,
): AsyncGenerator<Buffer> {
  const giveBack = await reading.take();
  try {
    let lastByte = 0;
    let lineBytes = 0;
    for await (const bytes of chunks) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const lastLineFeed = chunk.lastIndexOf(lineFeed);
      lineBytes = lastLineFeed === -1 ? lineBytes + chunk.length : chunk.length - lastLineFeed;
      if (lineBytes > lineBytesMax) throw new LineTooLong();
      yield withCrlf(chunk, lastByte);
      lastByte = chunk.at(-1) ?? lastByte;
    }
  } finally {
    giveBack();
  }
}

class LineTooLong extends Error {}

const [lineFeed, carriageReturn] = [0x0a, 0x0d];

function withCrlf(chunk: Buffer, byteBefore: number): Buffer {
  const bare: number[] = [];
  for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, at + 1))
    if ((at === 0 ? byteBefore : chunk[at - 1]) !== carriageReturn) bare.push(at);
  if (bare.length === 0) return chunk;
  const ended = Buffer.allocUnsafe(chunk.length + bare.length);
  let [from, to] = [0, 0];
  for (const at of bare) {
    to += chunk.copy(ended, to, from, at);
    ended[to++] = carriageReturn;
    from = at;
  }
  chunk.copy(ended, to, from);
  return ended;
}

const headerOnly = (header: Uint8Array) =>
  Buffer.from(`${Buffer.from(header).toString("latin1").replace(/\r?\n/g, "\r\n")}\r\n\r\n`, "latin1");
