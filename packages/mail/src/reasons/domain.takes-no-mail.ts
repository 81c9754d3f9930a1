import type { Rule } from "./rule.ts";

/** Null MX (RFC 7505) or a host that answers 521 because it takes no mail (RFC 7504). */
export const domainTakesNoMail: Rule = {
  reason: "domain.takes-no-mail",
  statuses: ["1.10"],
  codes: [556],
  sure: [
    /\bnull ?mx\b/,
    /\b(domain|host|server|system)( \S{1,100})? (does not|doesn't|do not|never) (accept|receive|take)s? (any )?(e-?mail|messages|smtp)\b(?! from)/,
    /\bdomain( \S{1,100})? takes no mail\b|\bnot an? (mail|e-?mail) (domain|host|server)\b/,
    /\bnullmx\b|\b(host|domain|server|site)( \S{1,100})? (does not|doesn't) (accept|receive) (e-?)?mail\b|\bno mail (is )?(accepted|service) (for|at) this (domain|host)|\bthis (host|server|machine) (does not|doesn't|never) (accepts?|receives?) (e-?)?mail/,
  ],
};
