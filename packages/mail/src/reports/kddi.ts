import { line, listing } from "./listing.ts";

/** KDDI: `Could not be delivered to: <address>` and `As their mailbox is full.` */
export const kddi = listing({
  software: "KDDI",
  sign: ({ text }) => /^Your mail (?:sent|attempted to be delivered) on:/im.test(text),
  opens: line`Could not be delivered to: ?<(?<address>[^<>\s]{1,320})>(?<words>)`,
});
