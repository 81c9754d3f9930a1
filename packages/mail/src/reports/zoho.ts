import { address, line, listing } from "./listing.ts";

/** Zoho Mail: `ann@example.com Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 …`. */
export const zoho = listing({
  software: "Zoho",
  sign: ({ text }) => /ERROR_CODE ?:|^\[Status: Error, Address:/m.test(text),
  opens: line`^(?:\[Status: Error, Address: )?${address}[ ,](?<words>.*(?:ERROR_CODE|ResponseCode|Error).*)$`,
  tidy: (words) =>
    words
      .replace(/ERROR_CODE ?: ?([45]\d\d), ERROR_CODE ?: ?/g, "\n$1 ")
      .replace(/ERROR_CODE ?: ?/g, " ")
      .replace(/ResponseCode (\d{3}), ?,? ?/, "\n$1 "),
});
