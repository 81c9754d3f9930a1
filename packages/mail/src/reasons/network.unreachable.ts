import type { Rule } from "./rule.ts";

/** Nobody answered, or the connection broke; written by servers on the way into their reports. */
export const networkUnreachable: Rule = {
  reason: "network.unreachable",
  statuses: ["4.1", "4.2", "4.7.5"],
  sure: [
    /\bconnect(ion)? (to \S{1,200} )?(timed? ?out|refused|reset|closed|failed|lost|dropped|terminated|was closed|died)\b/,
    /\bconnect to \S{1,200}: (connection|operation|no route|network|host)/,
    /\b(no route to host|network (is )?unreachable|host (is )?(unreachable|down)|operation timed out|no answer from host|could not connect|unable to connect|failed to connect|couldn't connect)\b/,
    /\blost connection with\b|\bconversation with \S{1,200}.{0,40}timed out\b|\bbroken pipe\b|\bserver (did not|didn't) (respond|answer)\b/,
    /\bdelivery temporarily suspended\b|\ball (hosts|servers).{0,60}(failing|failed|unreachable|unavailable)\b|\bretry time not reached for any host\b/,
    /\bsmtp (protocol )?(timeout|time-?out)\b|\bresponding timeout\b|\bsocket error\b|\bhost or domain .{0,20}not respond/,
    /\bsorry, i wasn't able to establish an smtp connection\b|\blowest numbered mx record points to\b.{0,40}unreachable/,
  ],
};
