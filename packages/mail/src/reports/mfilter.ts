import { address, line, listing } from "./listing.ts";

/** Digital Arts m-FILTER: `-------server message` and the reply. */
export const mfilter = listing({
  software: "m-FILTER",
  sign: ({ text }) => /^-{3,}server message/im.test(text),
  opens: line`^[ \t]{0,4}${address}[ \t]*$`,
  ignores: /^-{3,}/,
});
