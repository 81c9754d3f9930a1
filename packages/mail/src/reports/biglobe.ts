import { address, line, listing } from "./listing.ts";

/** Biglobe and the providers it serves: addresses, then `Non-delivered information`. */
export const biglobe = listing({
  software: "Biglobe",
  sign: ({ text }) => /-{3} Non-delivered information -{3}/i.test(text),
  begin: /-{3} The following addresses had/i,
  opens: line`^[ \t]{0,8}${address}[ \t]*$`,
  ignores: /-{3}/,
});
