import { address, line, listing } from "./listing.ts";

/** Exim 3 and 4 and the providers that run it, where only its text arrived: addresses by indent, reasons by more. */
export const exim = listing({
  software: "Exim",
  sign: ({ text }) =>
    /^This message was created automatically by (?:the |a )?mail ?delivery|^A message that (?:you|[^\s]{1,80}) sent (?:could not|has not|was not)/im.test(
      text,
    ),
  begin:
    /\bfailed:|\bdelivered to|\brecipients?\b.{0,40}[:.]|\baddress(?:es|\(es\))?\b.{0,80}:|permanent error/i,
  end: /^-{2,}.{0,80}(?:copy of|header|message)|^No action is required/i,
  opens: line`^(?:[ \t]{1,8}|unable to deliver (?:message )?to )?${address}(?::(?<words>.*)|\s{1,4}\((?:ultimately )?generated (?:from|by) .{1,200}|\s{1,4}\(.{1,200}\))?[ \t]*$`,
});
