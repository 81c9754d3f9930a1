import type { Rule } from "./rule.ts";

/** The recipient's domain is not in DNS. Suppresses, so a missing *sender's* domain must not land here. */
export const domainUnknown: Rule = {
  reason: "domain.unknown",
  statuses: ["1.2", "5.4.4"],
  sure: [
    /\b(host|domain)( or domain)?( name)? not found\b(?!.{0,20}try again)/i,
    /\b(domain|host)( name)?( \S{1,100})? (does ?n[o']t|do not) exist\b/i,
    /\bno such (domain|host)\b|\bNXDOMAIN\b|\bunknown (domain|host)\b|\bnon-?existent domain\b/i,
    /\bbad destination (system|host)\b|\bdestination (domain|host) (unknown|not found)\b/i,
    /\bname service error for name=\S{1,200}: host not found(?!, try again)/i,
    /\b(domain|host) couldn't be found\b|\bDNS domain '?\S{1,200}'? does not exist\b|\bInfoDomainNonexistent\b/i,
    /\b(all|no) relevant MX records point to non-existent hosts\b/i,
    /\bcouldn't find any host named\b|\bunrouteable mail domain\b/i,
  ],
};
