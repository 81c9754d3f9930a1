import { address, line, listing } from "./listing.ts";

/** Gmail before 2016: the address in the middle, `The error that the other server returned was: 550 … (state 14).` */
export const gmail = listing({
  software: "Gmail",
  sign: ({ text, from }) =>
    /Delivery to the following recipient(?:s)? (?:failed permanently|has been delayed)|Delivery to the following recipient failed/i.test(
      text,
    ) && /google/i.test(`${from} ${text}`),
  begin: /Delivery to the following recipient/i,
  end: /^-{3,} Original message|^-{3,} Message header/i,
  opens: line`^[ \t*]{1,20}${address}[ \t]*$`,
  tidy: (words) =>
    words.replace(/[\s\S]{0,600}other server re-?\s?turned was:\s*/i, "").replace(/\b([45]\d\d) \1\b/g, "$1"),
});
