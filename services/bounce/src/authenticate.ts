/**
 * Who a message is from, as far as SPF, DKIM, DMARC and ARC can tell in time. What could not be found out is `temperror`;
 * it is data, and refuses nothing.
 */
import type { Authentication } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import { BoundedMap, type Log } from "@tyto/service";
import { type Claimed, createVerify, unknown } from "./verify.ts";

export type { Claimed } from "./verify.ts";

/** DNS of strangers must not hold up the 250 for longer than a sender likes to wait after its final dot. */
const authenticateMsMax = 8_000;
/** Each costs a question to a stranger's DNS, a hash of the body and a verification. */
const signaturesMax = 12;
/** Of all signatures together: each name they list is looked for among all fields. */
const signatureCharsMax = 32_768;
/** Unfolding costs the square of a header's lines: 60,000 stopped the process for half a minute. */
const headerLinesMax = 1_000;
/** After so many in a row that took too long our DNS is away: the next ones do not wait for it. */
const lateInRowMax = 5;
const dnsRestMs = 15_000;

/** Results for mail without signatures, by all that they depend on. */
const unsignedMax = 5_000;
const unsignedMsMax = 60_000;

const signature = /^(?:dkim-signature|arc-(?:seal|message-signature))[ \t]*:.*(?:\r?\n[ \t].*)*/gim;
/** More than anybody's mail has, and too much to look at. */
const excessive: Authentication = { spf: "none", dkim: "policy", dmarc: "permerror", arc: "none" };

export function authenticator(resolver: Resolver, hostname: string, log: Log, now: () => number) {
  const verify = createVerify(resolver, hostname);
  const unsigned = new BoundedMap<string, { result: Promise<Authentication>; untilMs: number }>(unsignedMax);
  let lateInRow = 0;
  let restsUntilMs = 0;

  return async (claimed: Claimed): Promise<Authentication> => {
    const { header } = claimed.message;
    if (header === undefined || hasMoreLines(header, headerLinesMax)) return excessive;
    const signatures = Buffer.from(header).toString("latin1").match(signature) ?? [];
    const chars = signatures.reduce((sum, field) => sum + field.length, 0);
    if (signatures.length > signaturesMax || chars > signatureCharsMax) return excessive;
    if (now() < restsUntilMs) return unknown;

    if (signatures.length > 0) return await inTime(claimed, header, true);
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
}

function hasMoreLines(header: Uint8Array, linesMax: number): boolean {
  let lines = 0;
  for (let at = header.indexOf(10); at !== -1; at = header.indexOf(10, at + 1))
    if (++lines > linesMax) return true;
  return false;
}

const fromFields = (header: Uint8Array) =>
  (
    Buffer.from(header)
      .toString("latin1")
      .match(/^from[ \t]*:.*(?:\r?\n[ \t].*)*/gim) ?? []
  ).join("\n");
