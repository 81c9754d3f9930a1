import { line, listing } from "./listing.ts";

/** Apache James: the reason in front, `RCPT TO: address` in the details behind. */
export const james = listing({
  software: "James",
  sign: ({ text }) => /^Message details:/im.test(text) && /^[ \t]*RCPT TO:/im.test(text),
  begin: /^Message details:/i,
  opens: line`^[ \t]*RCPT TO:[ \t]*<?(?<address>[^\s<>]{1,320})>?[ \t]*$`,
  ignores: /./,
});
