/**
 * The id of the raw message of an `inboundId`, which is `<rawId>-<recipient>`: a message for several recipients is one
 * `mail.received` each, and its bytes are stored once.
 */
export function rawIdOf(inboundId: string): string {
  const end = inboundId.indexOf("-");
  return end === -1 ? inboundId : inboundId.slice(0, end);
}
