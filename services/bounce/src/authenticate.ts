import { asNodeResolve, type Resolver } from "@tyto/dns";
import type { Log } from "@tyto/service";
import { authenticate } from "mailauth";
import type { Authentication, Incoming } from "./intake.ts";

/** DNS of strangers must not hold up the 250 for longer than a sender waits after its final dot. */
const authenticateMsMax = 20_000;

/**
 * SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989) by mailauth, with our resolver: the runtime's own splits long
 * TXT records. What could not be found out is `temperror`; it is data, and refuses nothing.
 */
export const authenticator =
  (resolver: Resolver, hostname: string, log: Log) =>
  async ({ bytes, envelopeFrom, remoteIp, helo }: Incoming): Promise<Authentication> => {
    const unknown: Authentication = { spf: "temperror", dkim: "temperror", dmarc: "temperror" };
    const late = Promise.withResolvers<Authentication>();
    const timer = setTimeout(() => late.resolve(unknown), authenticateMsMax);
    const work = authenticate(Buffer.from(bytes), {
      ip: remoteIp,
      helo,
      sender: envelopeFrom,
      mta: hostname,
      disableArc: true,
      disableBimi: true,
      resolver: asNodeResolve(resolver) as never,
    }).then(
      ({ spf, dkim, dmarc }): Authentication => ({
        spf: resultOf(spf),
        dkim: dkim?.results?.some((one) => one.status?.result === "pass")
          ? "pass"
          : resultOf(dkim?.results?.[0]),
        dmarc: resultOf(dmarc),
      }),
      (error: unknown) => {
        log.warn("mail.not-authenticated", { error });
        return unknown;
      },
    );
    return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
  };

/** mailauth gives `{ status: { result } }`, or false where there was nothing to check. */
function resultOf(part: unknown): string {
  if (typeof part !== "object" || part === null || !("status" in part)) return "none";
  const { status } = part;
  return typeof status === "object" && status !== null && "result" in status
    ? String(status.result).slice(0, 20)
    : "none";
}
