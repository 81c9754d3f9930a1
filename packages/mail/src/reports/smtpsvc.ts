import { address, line, listing } from "./listing.ts";

/** Microsoft's SMTPSVC and what descends from it: `Delivery to the following recipients failed.` and a list. */
export const smtpsvc = listing({
  software: "SMTPSVC",
  sign: ({ text }) =>
    /Del(?:i|e)very to the following recipients (?:failed|was aborted|has been delayed)|email below could not be delivered to the following user/i.test(
      text,
    ),
  begin: /Del(?:i|e)very to the following recipients|could not be delivered to the following user/i,
  end: /^Old message:/i,
  opens: line`^[ \t*]{0,20}${address}[ \t]*$`,
});
