import type { Rule } from "./rule.ts";

/** An international address met a server without SMTPUTF8 (RFC 6531 §3.5). */
export const addressNeedsSmtputf8: Rule = {
  reason: "address.needs-smtputf8",
  statuses: ["6.7", "6.8", "6.9", "6.10"],
  codes: [553],
  sure: [
    /\bsmtputf8\b|\beai\b/,
    /\bnon-?ascii (address|addresses|local part|recipient|sender|mailbox)/,
    /\binternational(i[sz]ed)? (e-?mail )?(address|addresses|mail)\b/,
    /\butf-?8 (address|addresses|local part|header).{0,30}(not|requires?|unsupported)/,
  ],
};
