import type { Rule } from "./rule.ts";

/** RFC 6647: a server that does not know us wants to see whether we come back. */
export const greylisted: Rule = {
  reason: "greylisted",
  statuses: [],
  sure: [
    /\bgr[ea]y[- ]?list(ed|ing)?\b|\bgr[ea]ylist/,
    /\bis not yet authori[sz]ed to deliver mail from\b/,
    /\bpostgrey\b|\bmilter-greylist\b|\bsqlgrey\b|\bgreyd\b/,
    /\b(try|retry|come back|wait|again) .{0,20}\b\d{1,5} ?(s|sec|second|seconds|min|minutes|m)\b(?!.{0,60}\brate\b)/,
    /\bfirst[- ]time (sender|connection|contact)\b|\bunknown sender.{0,30}try again\b|\btemporarily rejected.{0,20}(first|new sender)/,
    /\btemporarily deferred\b.{0,40}\b(new|unknown|first)\b/,
    /\bgr[ae]y ?list|\bplease (come back|retry|try again) (later |in |after )(\d{1,5}|a few|some|five|ten)\b.{0,20}(s|sec|min|hour|moment)|\btemporarily (rejected|deferred|denied)\b.{0,40}\b(unknown|new|first|try)\b|\bfirst time .{0,20}(sender|connect|seen)/,
    /\[gl\d\d\]/,
  ],
};
