import type { Rule } from "./rule.ts";

/** DNS gave no answer, which is not the answer that nothing exists. */
export const networkDns: Rule = {
  reason: "network.dns",
  statuses: ["4.3", "4.4.4"],
  sure: [
    /\b(host|domain|name)( or domain name)? not found,? try again\b|\btype=\w{1,5}: host not found, try again\b/,
    /\b(dns|name ?server|name service|mx|hostname)( lookup| query| resolution| server)? (error|failure|failed|timeout|timed out|problem|temporar)(?!.{0,120}(name not found|no data|host not found(?!,? try)|host \S{1,100} not found|does not exist))/,
    /\b(temporary|temporarily|transient) .{0,30}\b(dns|name (server|service)|lookup|resolution|resolve)\b/,
    /\b(servfail|dns server failure|host lookup did not complete|cname lookup failed temporarily|malformed or unexpected name server reply)\b/,
    /\bunable to resolve\b|\bcould not resolve\b|\bno (mx|a) (or (a|mx) )?records?( found)?\b/,
    /\b(temporary|transient) (name )?(lookup|resolution|dns|resolver)\b|\bcould not contact dns servers\b|\bserver failure\b|\bmx (lookup|record|query)s? (failed|failure|timeout|timed out|problem|error)/,
  ],
};
