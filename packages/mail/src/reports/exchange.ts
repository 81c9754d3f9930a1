import { address, fieldMatches, line, listing } from "./listing.ts";

/** Exchange 4 to 2003 (Internet Mail Service): addresses with a date, reasons and a MAPI code below. */
export const exchange = listing({
  software: "Exchange",
  sign: (message) =>
    /did not reach the following recipient/i.test(message.text) ||
    fieldMatches(message, "x-mailer", /^Internet Mail Service|^Microsoft Exchange Server Internet Mail/i),
  begin: /did not reach the following recipient/i,
  opens: line`^[ \t]{0,8}(?:.{0,200}SMTP[=:])?${address};?(?: on .{6,60})?[ \t]*$`,
  ignores: /^[ \t]*(?:The MTS-ID|;l=|MSEXCH:\w{1,8}:.{0,100}$(?<!\)))/i,
  tidy: (words) =>
    words
      .replace(/\(000C05A6\)/g, "Unknown recipient")
      .replace(/\(00120270\)/g, "Too many hops")
      .replace(/\(000C0595\)/g, "Ambiguous recipient refused"),
});
