import type { Rule } from "./rule.ts";

/** Our IP address or domain is on a block list, public or the receiver's own, or has a bad reputation there. */
export const reputationListed: Rule = {
  reason: "reputation.listed",
  statuses: [],
  sure: [
    /\b(spamhaus|spamcop|barracudacentral|sorbs|uceprotect|abuseat|invaluement|dnswl|rbl\.|psbl|mailspike|spfbl|backscatterer|senderscore|cloudmark|csi\.cloudmark|hostkarma|nixspam|truncate\.gbudb|0spam|dronebl|blocklist\.de|bl\.score|spamrats|senderbase|talosintelligence|sender\.office\.com|ipcheck\.proofpoint|postmaster\.\S{1,60}(unblock|delist|block)|postmaster\.free\.fr|tsb\.mailchannels)\b/,
    /\b(blocked|rejected|listed|blacklisted|blocklisted|refused|denied)\b.{0,60}\b(using|by|in|on|at|via|per)\b.{0,60}\b(dnsbl|rbl|block ?list|black ?list|deny ?list|bl\b|blocklists)/,
    /\b(dnsbls?|rbls?|realtime block ?list|real-time black ?list)\b/,
    /\b(your|this|client|sending|connecting|the) (ip|ip address|host|server|network|client|mail server)( address)?( ?[[(]?[0-9a-f.:]{3,45}[\])]?)?,? (has been |have been |was |is |are )?(on (our|a|the) )?(black|block|deny|currently |temporarily |permanently )?-? ?(listed|blocked|banned|list|rejected|blacklisted|blocklisted)\b/,
    /\b(part of (their|your) network|ip|address|host|domain) (is|are) (currently )?on (our|a|the|an internal) (block|black|deny) ?list\b/,
    /\b(poor|bad|low|very low|negative|no) (sending |sender |ip |domain |email |mail )?reputation\b|\breputation of (the|your) (sending )?(domain|ip|server|sender)\b/,
    /\b(ip|ip address|domain|sender|network|host)'?s? reputation\b/,
    /\b(blacklist|blocklist|black ?listed|block ?listed)\b.{0,60}\b(ip|address|host|server|network|client)\b/,
    /\b(ip|ip address|host|domain|server) (is |was |has been )?(black|block|deny)[- ]?listed\b|\bbanned (sending ip|sender)\b|\bblocked for (abuse|spam)\b|\bremoved from (the|this|our) (block|black) ?list\b/,
    /\bunusual (rate|amount) of unsolicited mail originating from your (ip|dkim|spf|netblock)/,
    /\b(s3140|s3150|rbldns|rp-00[23]|rp-001(?!.{0,300}\brate limit)|s775|s844|ib1[01]\d|ib2\d\d|bl0\d|ph01|dyn:t1|cxbl|sec0[0-9]|aup#(in-)?\d{4}(?!.{0,60}\brate limit)|hvu:b1|rly:b1)\b/,
    /\bdynamic (ip|range|address|hostname|pool)\b|\bdynamic\/residential\b|\bresidential ip\b|\bdial-?up\b/,
    /\b(client )?host( \S{1,100})? (rejected|blocked)\b|\bbad (sending )?host\b/,
    /\b(your|sending|sender|client|source|connecting|the|this) (ip|ip address|server|host|network|mail server|domain|mta)\b.{0,60}\b(black ?listed|block ?listed|block list|black list|blocked|banned|listed|rejected|refused|poor reputation|bad reputation|denied)\b/,
    /\b(connection|connections|access|mail|messages?|e-?mails?) from (your |this |the )?(ip|ip address|server|host|network|\[?\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\]?)\b.{0,60}\b(blocked|rejected|refused|denied|not (accepted|allowed|permitted)|forbidden|black ?listed|banned)\b/,
    /\bblocked (using|by|with|via|for|because of|due to) .{0,60}\b(list|bl|rbl|dnsbl|reputation|spamhaus)\b|\blisted (in|on|at|by) .{0,60}\b(rbl|bl|list|dnsbl|spamhaus|sbl|xbl|zen)\b|\b(go away|open proxy|open relay)\b|\bsuspiciously like (a )?spammer\b|\bnot (currently )?accepting mail from your ip\b/,
    /\b(too many|sending) (spams?|spam complaints|complaints)\b|\bspam(s)? from your ip\b|\b(extreme )?bad ip profile\b|\bhost network not allowed\b|\bserver access forbidden\b|\bspammy ip\b|\blow (sender )?(score|reputation)\b|\bip (is )?(temporarily |currently )?(blocked|listed|banned|throttled)\b/,
    /\bcomcast block for spam\b|\bcontact tosa@\S{1,100} to clarify\.\) \((bl|nowl)\)/,
    /\btss(0[6-9]|[1-9]\d)\b|\bnamespace mining\b|\bdynamically-assigned ip\b|\bdynamic ips\b|\btraffic not accepted from this ip\b|\bspam abuse detected from ip\b|\bsuspected bounce attacks\b|\brejected: ers-(dul|rbl|qil)\b/,
  ],
  likely: [/\b(blocked|black ?listed|block ?listed)\b/],
};
