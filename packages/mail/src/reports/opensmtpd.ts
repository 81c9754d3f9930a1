import { address, line, listing } from "./listing.ts";

/** OpenSMTPD: `ann@example.com: 550 5.1.1 …` behind a greeting of the mailer daemon. */
export const opensmtpd = listing({
  software: "OpenSMTPD",
  sign: ({ text }) => /This is the MAILER-DAEMON, please DO NOT REPLY to this/i.test(text),
  begin: /list of recipients|error log|following/i,
  end: /^[ \t]*(?:Below is a copy|Please note that)|^-{3,}/i,
  opens: line`^[ \t]{0,8}${address}:(?<words>.*)$`,
});
