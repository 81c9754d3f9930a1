import { address, line, listing } from "./listing.ts";

/** Gmail since 2016 without its status part: `Your message wasn't delivered to ann@example.com because …`. */
export const gmailPage = listing({
  software: "Gmail",
  sign: ({ text }) =>
    /\b(?:wasn't|couldn't be|hasn't been) delivered to|There was a (?:temporary )?problem delivering your message to/i.test(
      text,
    ),
  opens: line`(?:delivered to|delivering your message to) ${address}(?<words>.*)$`,
  end: /^-{3,}/,
});
