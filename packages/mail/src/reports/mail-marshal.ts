import { address, line, listing } from "./listing.ts";

/** MailMarshal: `Could not be delivered because of` a reason, `The following recipients were affected:` addresses. */
export const mailMarshal = listing({
  software: "MailMarshal",
  sign: ({ text }) => /^The following recipients were affected:/im.test(text),
  begin: /^The following recipients were affected:/i,
  end: /^Additional Information/i,
  opens: line`^[ \t]{1,12}${address}[ \t]*$`,
});
