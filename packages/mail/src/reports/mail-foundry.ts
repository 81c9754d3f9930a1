import { line, listing } from "./listing.ts";

/** MailFoundry: `Unable to deliver message to: <address>`, `Delivery failed for the following reason:`. */
export const mailFoundry = listing({
  software: "MailFoundry",
  sign: ({ text }) => /^Delivery failed for the following reason:/im.test(text),
  opens: line`^Unable to deliver message to: ?<(?<address>[^<>\s]{1,320})>(?<words>)`,
  ignores: /^Delivery failed for the following reason:/i,
});
