import { line, listing } from "./listing.ts";

/** Postfix, where only its text arrived: `<address>: reason` in paragraphs. */
export const postfix = listing({
  software: "Postfix",
  sign: ({ text }) =>
    /^This is the (?:[\w. -]{0,60}postfix|mail system at host)|^I'm sorry to have to inform you that (?:your|the)/im.test(
      text,
    ),
  end: /^-{3,}/,
  opens: line`^[ \t]{0,8}<(?<address>[^<>\s]{1,320})>(?: \(expanded from [^)]{1,400}\))?:(?<words>.*)$`,
  reportingMta: /mail system at host ([^\s]{1,253}?)\.?\s/i,
});
