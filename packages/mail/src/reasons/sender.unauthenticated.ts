import type { Rule } from "./rule.ts";

/** SPF, DKIM, DMARC or reverse DNS of the sending side did not pass (RFC 7372). */
export const senderUnauthenticated: Rule = {
  reason: "sender.unauthenticated",
  statuses: ["7.9", "7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.29", "7.40", "7.509"],
  sure: [
    /\bdmarc\b.{0,80}\b(fail|failed|fails|reject|rejected|policy|unauthenticated|verification|evaluation|violation|check)/,
    /\b(fail|failed|fails|failing|violat|reject|due to|because of).{0,60}\bdmarc\b/,
    /\bspf\b.{0,60}\b(fail|failed|fails|reject|rejected|not (pass|allowed|authori[sz]ed|permitted)|check|soft ?fail|record|policy|validation|mismatch)/,
    /\b(fail|failed|fails|violat|reject|due to|because of).{0,60}\bspf\b/,
    /\bdkim\b.{0,60}\b(fail|failed|fails|reject|rejected|invalid|not (pass|valid|signed|verified)|missing|signature|check|did not pass)/,
    /\b(message|mail|email|sender) (is |was )?(unauthenticated|not authenticated|unable to be authenticated)\b|\bunauthenticated (e-?mail|mail|messages?|sender)/,
    /\bsender (id|policy framework|authentication)\b.{0,40}\b(fail|reject|required|not)/,
    /\b(not|isn't|is not) (authori[sz]ed|permitted|allowed|designated)( sender)? .{0,40}\b(to send|sender).{0,20}\b(for|from|on behalf of|as) .{0,40}\bdomain\b/,
    /\b(reverse (dns|hostname|lookup|address)|ptr( record)?|rdns|fcrdns)\b/,
    /\bopenspf\.(org|net)\b|\bspoof(ed|ing)\b.{0,40}\b(message|mail|sender|domain|detected|rejected)\b/,
    /\bno valid (spf|dkim)\b|\bauthentication (results|checks?).{0,20}(fail|not pass)/,
    /\bauthentication (information|checks)\b/,
    /\b(missing|no|invalid|bad|incorrect|generic) (reverse dns|ptr|rdns)\b|\b(cannot|can't|could not|unable to) find your (reverse )?hostname\b|\breverse (dns|mapping|lookup|hostname)\b|\bip (address )?(has no|without|does not have an?) (ptr|reverse|rdns|dns)\b|\bforward(-| )confirmed\b|\bhostname (does not|doesn't) match\b/,
  ],
};
