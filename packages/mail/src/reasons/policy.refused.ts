import type { Rule } from "./rule.ts";

/** Some rule of the receiver said no and does not tell which. `5.7.1` means no more than this. */
export const policyRefused: Rule = {
  reason: "policy.refused",
  statuses: ["7.0", "7.1", "7.8", "7.13", "7.14", "7.15", "7.16", "7.17", "7.18", "7.19"],
  sure: [
    /(?<!\bdmarc )\b(policy|polic(y|ies)) (reasons?|violation|restrictions?|rejection|reject|grounds|based)\b|\b(local|site|administrative|security|company|organi[sz]ation|corporate|mail|email|server|recipient's|our) polic(y|ies)\b/,
    /\b(rejected|refused|blocked|denied|prohibited|not accepted|disallowed)\b(?!.{0,120}\bdmarc policy\b).{0,40}\bpolicy\b/,
    /\badministrative(ly)? (prohibit|block|den|reject|refus|lock)/,
    /\b(mail flow|transport) rule\b|\btransport\.rules\.rejectmessage\b|\bcustom (mail flow )?rule\b/,
    /\bgeo(graphic|-?ip)?.{0,20}(block|restrict)|\bcountry\b.{0,30}\b(blocked|not allowed|rejected)\b/,
    /\bprohibited by (the )?(administrator|recipient|organization)\b/,
    /\b(rule|rules) (imposed|of|by|set)\b|\bsecurity (policy|policies|reasons|alert|violation|gateway)\b|\b(organi[sz]ational|corporate|company|group|server|site|our|local|spam|content) (settings|policy|policies|rules)\b|\b(against|violates?|violat\w{2,4}|due to|for|per|by) (?!.{0,120}\bdmarc policy\b).{0,30}\bpolic(y|ies)\b|\bpolicy-based\b|\brichtlinie|\brègles? de sécurité|\bpolítica/,
    /\btenant has exceeded\b/,
  ],
  likely: [
    /\baccess\b.{0,60}\brejected\b|\b(access|permission|delivery|message|transaction|mail|service) (denied|refused|rejected|not (allowed|authori[sz]ed|permitted))\b/,
    /\bnot (authori[sz]ed|permitted|allowed|accepted|authenticated)\b|\bprohibited\b|\bpolicy\b/,
    /\btransaction failed\b.{0,40}\brejected\b|\bauthentication (is )?required\b/,
    /\bauthentication (is )?(required|failed|failure|needed|credentials)\b|\bauthentifizierung|\bauthentification (requise|invalide)|\bunauthenticated senders\b|\baccess (is )?(denied|forbidden|refused|not allowed)\b|\bforbidden\b|\badministrative prohibition\b/,
  ],
};
