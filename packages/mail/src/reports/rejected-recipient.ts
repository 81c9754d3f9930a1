import { line, listing } from "./listing.ts";

/** `SMTP Server <host> rejected recipient <address> (Error following RCPT command). It responded as follows: [550 …]`. */
export const rejectedRecipient = listing({
  software: "rejected recipient",
  sign: ({ text }) =>
    /^We had trouble delivering your message|^SMTP Server <[^>]{1,253}> rejected/im.test(text),
  opens: line`(?:rejected recipient <|returned permanent errors: ?<?)(?<address>[^\s<>,]{1,319}[^\s<>,.])(?<words>.*)$`,
});
