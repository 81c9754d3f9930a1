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
    /\bdomain name not found\b|\billegal host\/domain name\b|\b(remote |recipient )?(domain|host)( name)? (doesn?t|does ?n[o']t|did not|do not) exist\b|\bunknown (mail )?(host|domain)\b|\bhost unknown\b|\bno such (host|domain)( name)?\b|\bnon-?existent (host|domain)\b/,
    /\bunrouteable mail domain\b|\b(domain|host)\b.{0,60}\b(not registered|nonexistent|non-existent|unresolvable|is invalid)\b|\bcannot find your hostname\b|\bsmtpsend\.dns\.nonexistentdomain\b|\bdns: .{0,80}name does not exist|\bno (mx|dns|a) (records?|entry|information) (exists? |found )?(for|at) (the )?(domain|host|recipient)/,
    /\bdns server returned answer with no data\b|\b(domain|host) (is )?(unknown|unbekannt|inconnu|desconocido)\b|\b(domäne|domain|host).{0,30}(nicht gefunden|existiert nicht|unbekannt)|(ドメイン|ホスト).{0,15}(見つかりません|存在し(ない|ません)|不明)|域名不存在/,
    /\b(host|domain) \S{1,100} (was |is )?(not found|unknown|not known)\b/,
  ],
};
