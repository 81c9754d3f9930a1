import type { Rule } from "./rule.ts";

/** The receiver's servers send the message to each other. */
export const routingLoop: Rule = {
  reason: "routing.loop",
  statuses: ["4.6", "4.8"],
  sure: [
    /\b(too many|exceeded|maximum|max) (hops|hop count|received (headers|lines|fields)|levels of forwarding)\b|\bhop ?count (exceeded|limit)|\btoo many hops\b/,
    /\b(mail|message|routing|forwarding|delivery|mx|email) (is )?(loop|looping|loops)\b|\bloop(s|ing)? (back|detected|backs?)\b/,
    /\bloops back to (myself|itself|me)\b|\b(possible|routing) loop\b|\bmy (best preference|domain name) .{0,20}mx\b/,
    /\bmessage (is )?looping\b|\bwas already (delivered|forwarded) .{0,30}loop/,
    /\btoo many hops\b|\bhop ?count\b|\b(mail|forwarding|routing|aliasing\/forwarding|delivery|message) loop|\bloop(s|ing|ed)? (back|detected|alert|condition|broken)|\bmaximum hop\b|\balready has my delivered-to\b|\bmxloopback\b|\btoo many received\b|\bschleife\b|\bboucle\b.{0,20}(mail|courrier|messag)/,
  ],
};
