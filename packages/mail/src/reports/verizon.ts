import { line, listing } from "./listing.ts";

/** Verizon's gateways to phones: `Error:` in front, `RCPT TO:` or `To:` in the details behind. */
export const verizon = listing({
  software: "Verizon",
  sign: ({ headers }) =>
    headers.some(({ name, value }) => name === "from" && /post_master@vtext|vzwpix\.com/i.test(value)),
  opens: line`^[ \t]*(?:RCPT TO|To):[ \t]*<?(?<address>[^\s<>]{1,320}@[^\s<>]{1,250})>?[ \t]*$`,
  ignores: /./,
});
