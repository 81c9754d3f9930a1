import { address, line, listing } from "./listing.ts";

/** Lotus, IBM and HCL Domino: `was not delivered to:` an address, `because:` a reason. */
export const domino = listing({
  software: "Domino",
  sign: ({ text, subject }) =>
    /^DELIVERY[ _]FAILURE/i.test(subject ?? "") ||
    /^was not delivered to:\s*$[\s\S]{0,600}^(?:because|due to):?\s*$/im.test(text),
  begin:
    /^was not delivered to:|^no se ha entregado a|^n'a pas été remis|^wurde nicht zugestellt|配信されませんでした/i,
  end: /^Reporting-MTA:|^What should you do/i,
  opens: line`^[ \t]{1,12}${address}[ \t]*$`,
  ignores: /^(?:because|due to|debido a|car|weil|parce que):?\s*$/i,
});
