import type { Rule } from "./rule.ts";

/** Nobody answered, or the connection broke; written by servers on the way into their reports. */
export const networkUnreachable: Rule = {
  reason: "network.unreachable",
  statuses: ["4.1", "4.2", "4.7.5"],
  sure: [
    /\bconnect(ion)? (to \S{1,200} )?(timed? ?out|refused|reset|closed|failed|lost|dropped|terminated|was closed|died)\b/i,
    /\bconnect to \S{1,200}: (connection|operation|no route|network|host)/i,
    /\b(no route to host|network (is )?unreachable|host (is )?(unreachable|down)|operation timed out|no answer from host|could not connect|unable to connect|failed to connect|couldn't connect)\b/i,
    /\blost connection with\b|\bconversation with \S{1,200}.{0,40}timed out\b|\bbroken pipe\b|\bserver (did not|didn't) (respond|answer)\b/i,
    /\bdelivery temporarily suspended\b|\ball (hosts|servers).{0,60}(failing|failed|unreachable|unavailable)\b|\bretry time not reached for any host\b/i,
    /\bSMTP (protocol )?(timeout|time-?out)\b|\bresponding timeout\b|\bsocket error\b|\bhost or domain .{0,20}not respond/i,
    /\bSorry, I wasn't able to establish an SMTP connection\b|\bLowest numbered MX record points to\b.{0,40}unreachable/i,
  ],
};
