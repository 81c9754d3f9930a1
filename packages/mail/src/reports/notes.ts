import { address, line, listing } from "./listing.ts";

/** Lotus Notes' own mail router: the reason above the address, between dashed lines. */
export const notes = listing({
  software: "Notes",
  sign: ({ text }) => /^-{3,} ?Failure Reasons/im.test(text),
  begin: /^-{3,} ?Failure Reasons/i,
  end: /^-{3,}/,
  opens: line`^[ \t]{0,8}${address}[ \t]*$`,
});
