import { address, line, listing } from "./listing.ts";

/** `ann@example.com [User unknown]` under "The following addresses had delivery errors". */
export const bracketed = listing({
  software: "bracketed",
  sign: ({ text }) => /^-{3}The following addresses had delivery errors-{3}/im.test(text),
  begin: /^-{3}The following addresses/i,
  opens: line`^[ \t]{0,8}${address} \[(?<words>[^\]]{1,300})\]`,
});
