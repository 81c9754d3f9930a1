import type { Rule } from "./rule.ts";

/** Too many messages, connections or recipients in some time; slower would pass. */
export const rateLimited: Rule = {
  reason: "rate.limited",
  statuses: ["4.7.28", "4.7.650", "4.7.651", "4.7.652", "4.5.3", "4.4.5"],
  sure: [
    /\brate[- ]?limit|\brate(s)? .{0,30}\b(exceed|too (high|fast)|limit)|\bthrottl(ed|ing|e)\b/,
    /\btoo many (\w{1,20} ){0,2}(connections?|sessions?|messages?|mails?|e-?mails?|recipients?|requests?|transactions?|commands|emails|deliveries)\b/,
    /\b(connection|message|recipient|sending|hourly|daily|e-?mail)s? (count |rate |sending )?(limit|quota for sending|frequency)( \S{1,60})? (exceeded|reached|limited)/,
    /\b(exceed(s|ed)?|reached|over) .{0,40}\b(rate|messages? per|connections? per|sending limit|connection limit|message limit|daily limit|hourly limit|concurrency)\b/,
    /\b(sending|receiving|delivering|received|sent) (mail |e-?mail |messages? )?(too (fast|quickly|often)|at a rate)\b|\btoo (fast|quickly|frequent)\b/,
    /\bunusual (rate|traffic)\b|\bts0\d\b|\btss0[0-5]\b|\bfrequency limited\b|\bunexpected volume\b|\bvolume of (mail|email|messages|traffic)\b/,
    /\bslow down\b|\bdeferred .{0,30}\bvolume\b|\bresources temporarily unavailable.{0,40}(rate|limit)|\bconnection (rate|frequency) limited\b/,
    /\buser .{0,40}(is )?receiving mail (too quickly|at a rate)/,
    /\b(exceeded|exceeds|reached|hit) (the |your |our |a |its |maximum )?(maximum |max |hourly |daily |sending |allowed |number of )*(rate|quota of messages|messages? (limit|per)|limit of (messages|emails|connections|recipients)|connections?|number of (messages|emails|connections|recipients)|recipients? (limit|per))\b/,
    /\btoo many (concurrent |simultaneous |smtp |tcp |open |parallel )*(connections?|sessions?)\b|\btoo many (e-?mails?|mails?|messages?|recipients?|rcpts?|deliveries|transactions|commands)\b|\b(connection|session) limit\b|\bresolver\.adr\.reciplimit\b|\b(sending|daily|hourly) (quota|limit)s? (has been |was )?(exceeded|reached)|\bmax(imum)? (number of )?(messages|connections|recipients)\b.{0,30}\b(exceed|reach)|\bplease slow\b|\btrop de (connexions|messages|destinataires)/,
    /\bexceeded permitted limits\b|\bexceeded their limit for the number of messages\b|\bquota for sending\b|\b(relay|outbound thread) limit\b|\bsend limit exceeded\b/,
  ],
};
