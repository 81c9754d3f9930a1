import { address, line, listing } from "./listing.ts";

/** Smail 3 and T-Online: sections between bars, `ann@example.com ... failed: reason` or the reply below. */
export const smail = listing({
  software: "Smail",
  sign: ({ text }) => /^\|-{3,} ?Failed addresses follow/im.test(text),
  begin: /Failed addresses follow/i,
  end: /^\|-{3,}/,
  opens: line`^[ \t]{0,8}${address}(?: \.\.\. (?<words>.*))?[ \t]*$`,
});
