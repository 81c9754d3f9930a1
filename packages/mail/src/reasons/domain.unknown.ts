import type { Rule } from "./rule.ts";

/** The recipient's domain is not in DNS. Suppresses, so a missing *sender's* domain must not land here. */
export const domainUnknown: Rule = {
  reason: "domain.unknown",
  statuses: ["1.2", "5.4.4"],
  sure: [
    /\b(host|domain)( or domain)?( name)? not found\b(?!.{0,20}try again)/,
    /\b(domain|host)( name)?( \S{1,100})? (does ?n[o']t|do not) exist\b/,
    /\bno such (domain|host)\b|\bnxdomain\b|\bunknown (domain|host)\b|\bnon-?existent domain\b/,
    /\bbad destination (system|host)\b|\bdestination (domain|host) (unknown|not found)\b/,
    /\bname service error for name=\S{1,200}: host not found(?!, try again)/,
    /\b(domain|host) couldn't be found\b|\bdns domain '?\S{1,200}'? does not exist\b|\binfodomainnonexistent\b/,
    /\b(all|no) relevant mx records point to non-existent hosts\b/,
    /\bcouldn't find any host named\b|\bunrouteable mail domain\b/,
  ],
};
