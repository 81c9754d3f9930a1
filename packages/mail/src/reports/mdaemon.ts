import { address, line, listing } from "./listing.ts";

/** Alt-N MDaemon: `The following addresses did NOT receive a copy of your message:` and a transcript. */
export const mdaemon = listing({
  software: "MDaemon",
  sign: ({ text }) => /did NOT receive a copy of your message|^Failed Address(?:es)?:/im.test(text),
  begin: /did NOT receive a copy|^Failed Address/i,
  end: /^--- (?:End|Message)/i,
  opens: line`^[ \t]*>[ \t]{0,4}${address}(?<words>.*)$`,
});
