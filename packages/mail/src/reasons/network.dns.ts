import type { Rule } from "./rule.ts";

/** DNS gave no answer, which is not the answer that nothing exists. */
export const networkDns: Rule = {
  reason: "network.dns",
  statuses: ["4.3", "4.4.4"],
  sure: [
    /\b(host|domain|name)( or domain name)? not found,? try again\b|\btype=\w{1,5}: host not found, try again\b/i,
    /\b(DNS|name ?server|name service|MX|hostname)( lookup| query| resolution| server)? (error|failure|failed|timeout|timed out|problem|temporar)/i,
    /\b(temporary|temporarily|transient) .{0,30}\b(DNS|name (server|service)|lookup|resolution|resolve)\b/i,
    /\b(SERVFAIL|DNS server failure|host lookup did not complete|CNAME lookup failed temporarily|malformed or unexpected name server reply)\b/i,
    /\bunable to resolve\b|\bcould not resolve\b|\bno (MX|A) (or (A|MX) )?records?( found)?\b/i,
  ],
};
