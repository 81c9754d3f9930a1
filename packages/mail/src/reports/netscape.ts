import { address, line, listing } from "./listing.ts";

/** Netscape Messaging Server: `The message you sent … could not be delivered to:` and `Account for …` lines. */
export const netscape = listing({
  software: "Netscape",
  sign: ({ text }) =>
    /^This Message was undeliverable due to the following reason|^Unable to deliver (?:this )?message to/im.test(
      text,
    ),
  begin:
    /^Unable to deliver|^The (?:user|following recipient)|due to the following reason|^Each of the following|^Your message was not delivered/i,
  end: /^Please reply to/i,
  opens: line`^[ \t]{0,8}(?:recipient: ?)?${address}(?::(?<words>.*))?[ \t]*$`,
});
