import { line, listing } from "./listing.ts";

/** Trend Micro InterScan: `Sent <<< RCPT TO:<address>` and `Received >>> 550 …`. */
export const interscan = listing({
  software: "InterScan",
  sign: ({ text, from }) => /InterScan/i.test(`${from} ${text}`) || /^(?:Sent <<<|Received >>>)/m.test(text),
  opens: line`(?:Sent (?:<<<|>>>) RCPT TO: ?|Unable to deliver message to ?)<(?<address>[^<>\s]{1,320})>(?<words>)`,
  tidy: (words) => words.replace(/^.{0,30}(?:>>>|<<<)\s*/gm, ""),
});
