import { line, listing } from "./listing.ts";

/** fml and other list managers that refuse an article: `You are not a member of this mailing list <list@example.org>`. */
export const fml = listing({
  software: "fml",
  sign: (message) => message.headers.some(({ name }) => name === "x-mlserver"),
  end: /^Original mail as follows/i,
  opens: line`^(?<words>.*)<(?<address>[^<>\s]{1,320})>`,
});
