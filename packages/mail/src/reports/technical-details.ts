import { address, line, listing } from "./listing.ts";

/** Reports between bars: `* address` under a heading, `SMTP:RCPT host 192.0.2.8: 553 …` under "Technical details". */
export const technicalDetails = listing({
  software: "CommuniGate",
  sign: ({ text }) =>
    /This is an automatically generated Delivery Status Notification/i.test(text) && /^={20}/m.test(text),
  begin: /recipients? failed/i,
  opens: line`^[ \t]*\*[ \t]{1,4}${address}[ \t]*$`,
  ignores: /^={10}|Technical details/i,
});
