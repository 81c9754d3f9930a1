import { line, listing } from "./listing.ts";

/** dma, the mail agent of DragonFly BSD: one failed recipient and the reason below. */
export const dragonfly = listing({
  software: "dma",
  sign: ({ text }) => /This is the DragonFly Mail Agent/i.test(text),
  begin: /There was an error delivering your mail to/i,
  end: /^(?:Original message|Message headers) follow/i,
  opens: line`delivering your mail to <(?<address>[^<>\s]{1,320})>(?<words>)`,
  reportingMta: /DragonFly Mail Agent.{0,40} at ([^\s]{1,253}?)\.?\s/i,
});
