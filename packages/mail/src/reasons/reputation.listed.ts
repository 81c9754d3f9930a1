import type { Rule } from "./rule.ts";

/** Our IP address or domain is on a block list, public or the receiver's own, or has a bad reputation there. */
export const reputationListed: Rule = {
  reason: "reputation.listed",
  statuses: [],
  sure: [
    /\b(spamhaus|spamcop|barracudacentral|sorbs|uceprotect|abuseat|invaluement|dnswl|rbl\.|surbl|uribl|psbl|mailspike|spfbl|backscatterer|senderscore|cloudmark|csi\.cloudmark|hostkarma|nixspam|truncate\.gbudb|0spam|dronebl|blocklist\.de|bl\.score|spamrats|senderbase|talosintelligence|sender\.office\.com|ipcheck\.proofpoint|postmaster\.\S{1,60}(unblock|delist|block)|postmaster\.free\.fr|tsb\.mailchannels)\b/i,
    /\b(blocked|rejected|listed|blacklisted|blocklisted|refused|denied)\b.{0,60}\b(using|by|in|on|at|via|per)\b.{0,60}\b(dnsbl|rbl|block ?list|black ?list|deny ?list|bl\b|blocklists)/i,
    /\b(dnsbls?|rbls?|realtime block ?list|real-time black ?list)\b/i,
    /\b(your|this|client|sending|connecting|the) (ip|ip address|host|server|network|client|mail server)( address)?( ?[[(]?[0-9a-f.:]{3,45}[\])]?)?,? (has been |have been |was |is |are )?(on (our|a|the) )?(black|block|deny|currently |temporarily |permanently )?-? ?(listed|blocked|banned|list|rejected|blacklisted|blocklisted)\b/i,
    /\b(part of (their|your) network|ip|address|host|domain) (is|are) (currently )?on (our|a|the|an internal) (block|black|deny) ?list\b/i,
    /\b(poor|bad|low|very low|negative|no) (sending |sender |ip |domain |email |mail )?reputation\b|\breputation of (the|your) (sending )?(domain|ip|server|sender)\b/i,
    /\b(ip|ip address|domain|sender|network|host)'?s? reputation\b/i,
    /\b(blacklist|blocklist|black ?listed|block ?listed)\b.{0,60}\b(ip|address|host|server|network|client)\b/i,
    /\b(ip|ip address|host|domain|server) (is |was |has been )?(black|block|deny)[- ]?listed\b|\bbanned (sending ip|sender)\b|\bblocked for (abuse|spam)\b|\bremoved from (the|this|our) (block|black) ?list\b/i,
    /\bunusual (rate|amount) of unsolicited mail originating from your (ip|DKIM|SPF|netblock)/i,
    /\b(S3140|S3150|RBLDNS|RP-00[123]|S775|S844|IB1[01]\d|IB2\d\d|BL0\d|PH01|DYN:T1|CXBL|SEC0[0-9]|AUP#(In-)?\d{4}|HVU:B1|RLY:B1)\b/,
    /\bdynamic (ip|range|address|hostname|pool)\b|\bdynamic\/residential\b|\bresidential ip\b|\bdial-?up\b/i,
    /\b(client )?host( \S{1,100})? (rejected|blocked)\b|\bbad (sending )?host\b/i,
  ],
  likely: [/\b(blocked|black ?listed|block ?listed)\b/i],
};
