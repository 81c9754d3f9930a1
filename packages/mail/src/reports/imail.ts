import { address, line, listing } from "./listing.ts";

/** Ipswitch IMail: `Unknown user: ann@example.com`, `undeliverable to ann@example.com` and the response below. */
export const imail = listing({
  software: "IMail",
  sign: (message) =>
    message.headers.some(({ name, value }) => name === "x-mailer" && value.startsWith("<SMTP32")) ||
    /^Original message follows\.\s*$/im.test(message.text),
  end: /^Original message follows/i,
  opens: line`^(?<words>(?:unknown (?:user|host)|invalid final delivery userid|user mailbox exceeds allowed size|delivery failed|undeliverable|.{0,40}failed).{0,60}?)[: ]{1,3}${address}`,
});
