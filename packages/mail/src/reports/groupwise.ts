import { address, line, listing } from "./listing.ts";

/** Novell GroupWise: the address and its reason in brackets on one line. */
export const groupwise = listing({
  software: "GroupWise",
  sign: ({ text, subject }) =>
    /^Message status - (?:undeliverable|rejected)/i.test(subject ?? "") ||
    /^The message that you sent was undeliverable to the following/im.test(text),
  begin: /undeliverable to the following/i,
  opens: line`^[ \t]{0,12}(?:[\w .'-]{1,80} )?${address}(?: \((?<words>[^)]{1,300})\))?[ \t]*$`,
});
