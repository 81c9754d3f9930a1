/**
 * Why a question has no answer. "There is no such name" is an answer, not an error.
 *
 * - `timeout`: no server answered in time.
 * - `refused`: servers answered, but would not or could not resolve (SERVFAIL, REFUSED, NOTIMP, FORMERR).
 * - `unreachable`: no server could be spoken to (port closed, no route).
 * - `malformed`: what came back over TCP was not DNS.
 * - `name`: the name cannot be asked for (a label over 63 octets, an empty label, forbidden characters).
 */
export type DnsErrorKind = "timeout" | "refused" | "unreachable" | "malformed" | "name";

export class DnsError extends Error {
  readonly kind: DnsErrorKind;
  constructor(kind: DnsErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DnsError";
    this.kind = kind;
  }
}
