import { line, listing } from "./listing.ts";

/** Openwave InterMail, au and EZweb: the reason as a sentence, then `<address>` or `Recipient: <address>` with a session. */
export const intermail = listing({
  software: "InterMail",
  sign: ({ text }) =>
    /^(?:The user\(s\) account is|Each of the following recipients was rejected|Your message was not delivered within|The following recipients did not receive)/im.test(
      text,
    ),
  opens: line`^[ \t]{0,8}(?:Recipient: ?)?<(?<address>[^<>\s]{1,320})>:?(?<words>.*)$`,
  tidy: (words) => words.replace(/^[ \t]*>>> .*$/gm, "").replace(/^[ \t]*<<< ?/gm, ""),
});
