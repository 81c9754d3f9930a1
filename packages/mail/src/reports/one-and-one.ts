import { address, line, listing } from "./listing.ts";

/** 1&1, GMX, web.de, Kundenserver: Exim's words with reasons in lines of their own. */
export const oneAndOne = listing({
  software: "1&1",
  sign: ({ text }) =>
    /This message was created automatically by mail delivery/i.test(text) &&
    /For the following reason:|^SMTP error from remote (?:mail )?server (?:after|for) \w{4} command|^Reason:\s*$/im.test(
      text,
    ),
  begin: /\bfailed:|\baddress(?:es)? failed|permanent error|following address/i,
  end: /^---/,
  opens: line`^[ \t]{0,8}${address}:?[ \t]*$`,
  ignores: /^For the following reason:|^Reason:\s*$/i,
});
