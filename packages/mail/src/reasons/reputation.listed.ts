import type { Rule } from "./rule.ts";

/** Our IP address or domain is on a block list, public or the receiver's own, or has a bad reputation there. */
export const reputationListed: Rule = {
  reason: "reputation.listed",
  statuses: [],
  sure: [
    /\b(spamhaus|spamcop|barracudacentral|sorbs|uceprotect|abuseat|invaluement|dnswl|rbl\.|surbl|uribl|psbl|mailspike|spfbl|backscatterer|senderscore|cloudmark|csi\.cloudmark|hostkarma|nixspam|truncate\.gbudb|0spam|dronebl|blocklist\.de|bl\.score|spamrats|senderbase|talosintelligence|sender\.office\.com|ipcheck\.proofpoint|postmaster\.\S{1,60}(unblock|delist|block)|postmaster\.free\.fr|tsb\.mailchannels)\b/,
    /\b(blocked|rejected|listed|blacklisted|blocklisted|refused|denied)\b.{0,60}\b(using|by|in|on|at|via|per)\b.{0,60}\b(dnsbl|rbl|block ?list|black ?list|deny ?list|bl\b|blocklists)/,
    /\b(dnsbls?|rbls?|realtime block ?list|real-time black ?list)\b/,
    /\b(your|this|client|sending|connecting|the) (ip|ip address|host|server|network|client|mail server)( address)?( ?[[(]?[0-9a-f.:]{3,45}[\])]?)?,? (has been |have been |was |is |are )?(on (our|a|the) )?(black|block|deny|currently |temporarily |permanently )?-? ?(listed|blocked|banned|list|rejected|blacklisted|blocklisted)\b/,
    /\b(part of (their|your) network|ip|address|host|domain) (is|are) (currently )?on (our|a|the|an internal) (block|black|deny) ?list\b/,
    /\b(poor|bad|low|very low|negative|no) (sending |sender |ip |domain |email |mail )?reputation\b|\breputation of (the|your) (sending )?(domain|ip|server|sender)\b/,
    /\b(ip|ip address|domain|sender|network|host)'?s? reputation\b/,
    /\b(blacklist|blocklist|black ?listed|block ?listed)\b.{0,60}\b(ip|address|host|server|network|client)\b/,
    /\b(ip|ip address|host|domain|server) (is |was |has been )?(black|block|deny)[- ]?listed\b|\bbanned (sending ip|sender)\b|\bblocked for (abuse|spam)\b|\bremoved from (the|this|our) (block|black) ?list\b/,
    /\bunusual (rate|amount) of unsolicited mail originating from your (ip|dkim|spf|netblock)/,
    /\b(s3140|s3150|rbldns|rp-00[123]|s775|s844|ib1[01]\d|ib2\d\d|bl0\d|ph01|dyn:t1|cxbl|sec0[0-9]|aup#(in-)?\d{4}|hvu:b1|rly:b1)\b/,
    /\bdynamic (ip|range|address|hostname|pool)\b|\bdynamic\/residential\b|\bresidential ip\b|\bdial-?up\b/,
    /\b(client )?host( \S{1,100})? (rejected|blocked)\b|\bbad (sending )?host\b/,
  ],
  likely: [/\b(blocked|black ?listed|block ?listed)\b/],
};
