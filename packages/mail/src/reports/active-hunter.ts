import { line, listing } from "./listing.ts";

/** QUALITIA Active!hunter: Sendmail's headings with `>>> address <address>` entries. */
export const activeHunter = listing({
  software: "Active!hunter",
  sign: ({ text }) => /^>>> [^\s@]{1,64}@[^\s]{1,250} <[^>]{1,320}>/m.test(text),
  opens: line`^>>> [^\s]{1,320} <(?<address>[^<>\s]{1,320})>(?<words>)`,
  ignores: /-{3} ?Transcript of session/i,
});
