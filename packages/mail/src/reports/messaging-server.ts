import { address, line, listing } from "./listing.ts";

/** Sun, Oracle and iPlanet Messaging Server (iCloud, too): `Recipient address:`, `Reason:`, `Diagnostic code:`. */
export const messagingServer = listing({
  software: "Messaging Server",
  sign: ({ text }) =>
    /^This report relates to a message you sent with the following header fields/im.test(text),
  begin: /^Your message (?:cannot be|has been|is being|has encountered|was)|^The following recipients/i,
  opens: line`^[ \t]{1,8}Recipient address:\s{0,8}(?:@[^:\s]{1,250}:)?${address}(?<words>)`,
  ignores: /^[ \t]*(?:Original address|Remote system|Recently):/i,
  tidy: (words) =>
    words.replace(/^[ \t]*Diagnostic code:\s*(?:smtp;)?/gim, "\n").replace(/^[ \t]*Reason:\s*/gim, ""),
});
