/**
 * SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989) and ARC (RFC 8617) by mailauth, with our resolver: the runtime's own
 * splits long TXT records. What could not be found out is `temperror`; it is data, and refuses nothing.
 */
import { Readable } from "node:stream";
import type { Authentication } from "@tyto/contracts";
import { asNodeResolve, type Resolver } from "@tyto/dns";
import { BoundedMap, type Log, places } from "@tyto/service";
import { authenticate } from "mailauth";
import type { Spooled } from "./spool/spool.ts";

export type Claimed = {
  message: Pick<Spooled, "header" | "chunks">;
  envelopeFrom: string;
  remoteIp: string;
  helo: string;
};

/** DNS of strangers must not hold up the 250 for longer than a sender likes to wait after its final dot. */
const authenticateMsMax = 8_000;
/** Files that are read for their signatures at the same time. Waiting for DNS needs no place. */
const readingMax = 8;
/** Each costs a question to a stranger's DNS, a hash of the body and a verification. */
const signaturesMax = 12;
/** A body without line ends costs the canonicalisation its square; RFC 5322 §2.1.1 allows 998. */
const lineBytesMax = 131_072;
/** After so many in a row that took too long our DNS is away: the next ones do not wait for it. */
const lateInRowMax = 5;
const dnsRestMs = 15_000;

/** Results for mail without signatures, by all that they depend on. */
const unsignedMax = 5_000;
const unsignedMsMax = 60_000;

const signature = /^(?:dkim-signature|arc-(?:seal|message-signature))[ \t]*:/gim;

export function authenticator(resolver: Resolver, hostname: string, log: Log, now: () => number) {
  const reading = places(readingMax);
  const unsigned = new BoundedMap<string, { result: Promise<Authentication>; untilMs: number }>(unsignedMax);
  let lateInRow = 0;
  let restsUntilMs = 0;

  return async (claimed: Claimed): Promise<Authentication> => {
    const { header } = claimed.message;
    if (header === undefined) return { spf: "none", dkim: "policy", dmarc: "permerror", arc: "none" };
    const signatures = Buffer.from(header).toString("latin1").match(signature)?.length ?? 0;
    if (signatures > signaturesMax) return { spf: "none", dkim: "policy", dmarc: "permerror", arc: "none" };
    if (now() < restsUntilMs) return unknown;

    if (signatures > 0) return await inTime(claimed, header, true);
    // Reports come in bursts, and without a signature they differ in nothing that counts here.
    const key = [claimed.remoteIp, claimed.helo, claimed.envelopeFrom, fromFields(header)].join("\n");
    const known = unsigned.get(key);
    if (known !== undefined && now() < known.untilMs) return await known.result;
    const result = inTime(claimed, header, false);
    unsigned.set(key, { result, untilMs: now() + unsignedMsMax });
    if ((await result) === unknown) unsigned.delete(key);
    return await result;
  };

  async function inTime(claimed: Claimed, header: Uint8Array, isSigned: boolean): Promise<Authentication> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), authenticateMsMax);
    const work = verify(claimed, header, isSigned).catch((error: unknown) => {
      log.warn("mail.not-authenticated", { error });
      return unknown;
    });
    const result = await Promise.race([work, late.promise]);
    clearTimeout(timer);
    lateInRow = result === "late" ? lateInRow + 1 : 0;
    if (lateInRow >= lateInRowMax) {
      restsUntilMs = now() + dnsRestMs;
      lateInRow = 0;
      log.warn("dns.away", { restMs: dnsRestMs });
    }
    return result === "late" ? unknown : result;
  }

  async function verify(
    { message, envelopeFrom, remoteIp, helo }: Claimed,
    header: Uint8Array,
    isSigned: boolean,
  ): Promise<Authentication> {
    // Without a signature the body says nothing about who sent it.
    const input = isSigned ? Readable.from(wellEnded(message.chunks())) : headerOnly(header);
    try {
      const { spf, dkim, dmarc, arc } = await authenticate(input, {
        ip: remoteIp,
        helo,
        sender: envelopeFrom,
        mta: hostname,
        disableBimi: true,
        resolver: asNodeResolve(resolver) as never,
      });
      return {
        spf: resultOf(spf),
        dkim: dkim?.results?.some((one) => one.status?.result === "pass")
          ? "pass"
          : resultOf(dkim?.results?.[0]),
        dmarc: resultOf(dmarc),
        arc: resultOf(arc),
      };
    } catch (error) {
      if (error instanceof LineTooLong) return { ...unknown, dkim: "policy", dmarc: "permerror" };
      throw error;
    } finally {
      if (input instanceof Readable) input.destroy();
    }
  }

  /**
   * The bytes with CRLF for each bare LF: mailauth does the same, at the price of a promise each. Holds a place while it
   * reads; waiting for DNS comes after and needs none.
   */
  async function* wellEnded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
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

const unknown: Authentication = {
  spf: "temperror",
  dkim: "temperror",
  dmarc: "temperror",
  arc: "temperror",
};

const fromFields = (header: Uint8Array) =>
  (
    Buffer.from(header)
      .toString("latin1")
      .match(/^from[ \t]*:.*(?:\r?\n[ \t].*)*/gim) ?? []
  ).join("\n");

const headerOnly = (header: Uint8Array) =>
  Buffer.from(`${Buffer.from(header).toString("latin1").replace(/\r?\n/g, "\r\n")}\r\n\r\n`, "latin1");

/** mailauth gives `{ status: { result } }`, or false where there was nothing to check. */
function resultOf(part: unknown): string {
  if (typeof part !== "object" || part === null || !("status" in part)) return "none";
  const { status } = part;
  return typeof status === "object" && status !== null && "result" in status
    ? String(status.result).slice(0, 20)
    : "none";
}
