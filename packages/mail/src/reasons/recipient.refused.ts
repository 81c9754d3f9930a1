import type { Rule } from "./rule.ts";

/** The address may well exist: this server does not serve it, or not for us. */
export const recipientRefused: Rule = {
  reason: "recipient.refused",
  statuses: ["2.0"],
  sure: [
    /\brelay(ing)? (access )?(is )?(denied|not (permitted|allowed)|prohibited|disallowed)\b/,
    /\b(we do not|not permitted to|unable to|cannot|will not|won't) relay\b|\brelaying to \S{1,200} (denied|prohibited)/,
    /\bdomain is(n't| not) (in my list of allowed rcpthosts|hosted here|local|handled here)\b/,
    /\brcpthosts\b|\bnot (an? )?(local|allowed|permitted) (domain|recipient)\b/,
    /\b(only|not) (accepts?|authori[sz]ed to send|allowed to send) .{0,40}\b(to this (recipient|group|address|list)|internal senders)\b/,
    /\bnot authori[sz]ed to send to this (recipient|group|address)\b|\bresolver\.rst\.(notauthorized|authrequired|sendernotauthenticated)/,
    /\brecipient (does not|doesn't) (want|accept|wish).{0,30}\b(mail|messages|email)\b/,
    /\bdelivery restrict(ed|ion)\b|\bmailing list .{0,40}(closed|members only)\b|\bmembers-only (list|group)\b/,
  ],
  likely: [
    /\brecipient .{0,40}(refused|denied|not allowed)\b/,
    /\bnot permitted to (deliver|send) (mail )?to\b/,
  ],
};
