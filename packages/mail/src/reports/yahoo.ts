import { line, listing } from "./listing.ts";

/** Yahoo and the providers it served: `<ann@example.com>:` and the reason below. */
export const yahoo = listing({
  software: "Yahoo",
  sign: ({ text }) =>
    /^(?:Message from [^\s]{1,200}\.\s+)?(?:Sorry, we were )?Unable to deliver (?:your )?message to the following address/im.test(
      text,
    ),
  begin: /unable to deliver (?:your )?message to the following address/i,
  end: /^---/,
  opens: line`^[ \t]{0,4}<(?<address>[^<>\s]{1,320})>:?(?<words>.*)$`,
});
