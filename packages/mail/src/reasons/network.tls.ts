import type { Rule } from "./rule.ts";

/** One side demands encryption that the other does not offer, or a certificate does not fit. */
export const networkTls: Rule = {
  reason: "network.tls",
  statuses: ["7.10", "4.7.4", "5.7.4", "7.11"],
  codes: [523, 454],
  sure: [
    /\b(must|requires?|required|need|issue) .{0,40}\b(starttls|tls|encryption|encrypted|secure connection)\b/,
    /\b(tls|starttls|ssl|encryption)( \S{1,60})? (is |was )?(required|needed|not (available|offered|supported)|unavailable|negotiation|handshake|mandatory|failed)\b/,
    /\b(tls|ssl) (handshake|negotiation|error|library problem|connection)\b|\bcertificate\b.{0,60}\b(verif|validation failed|expired|invalid|mismatch|not trusted|untrusted|self-?signed)/,
    /\b(mta-sts|dane|tlsa)\b|\bcannot start tls\b|\bencryption (is )?required\b/,
    /\b(does not|doesn't|not|without|no) support (for )?(tls|starttls|ssl|encryption)\b|\b(tls|starttls|ssl) (missing|not (available|offered|supported|possible)|negotiation|failed|failure|required|unavailable|session|alert)\b|\bmust issue (a |an )?starttls\b|\brequires? (tls|starttls|encryption|a secure)\b|\bno shared cipher\b|\bunknown ca\b|\bcertificate verif\w{1,10} failed/,
  ],
};
