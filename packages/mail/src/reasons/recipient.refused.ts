import type { Rule } from "./rule.ts";

/** The address may well exist: this server does not serve it, or not for us. */
export const recipientRefused: Rule = {
  reason: "recipient.refused",
  statuses: ["2.0", "7.129"],
  sure: [
    /\brelay(ing)? (access )?(is )?(denied|not (permitted|allowed)|prohibited|disallowed)\b/,
    /\b(we do not|not permitted to|unable to|cannot|will not|won't) relay\b|\brelaying to \S{1,200} (denied|prohibited)/,
    /\bdomain is(n't| not) (in my list of allowed rcpthosts|hosted here|local|handled here)\b/,
    /\brcpthosts\b|\bnot (an? )?(local|allowed|permitted) (domain|recipient)\b/,
    /\b(only|not) (accepts?|authori[sz]ed to send|allowed to send) .{0,40}\b(to this (recipient|group|address|list)|internal senders)\b/,
    /\bnot authori[sz]ed to send to this (recipient|group|address)\b|\bresolver\.rst\.(notauthorized|authrequired|sendernotauthenticated)/,
    /\brecipient (does not|doesn't) (want|accept|wish).{0,30}\b(mail|messages|email)\b/,
    /\bdelivery restrict(ed|ion)\b|\bmailing list .{0,40}(closed|members only)\b|\bmembers-only (list|group)\b/,
    /\b(you are|sender is|author is|poster is) not (a |an |allowed |permitted |authori[sz]ed )?(member|subscriber|subscribed|to post|to send)\b|\b(members?|subscribers?)[- ]only\b|\b(non-?member|not member|not a member|not subscribed|closed (mailing )?list)\b/,
    /\b(may not|not) have permission to (post|send)\b|\bpermission to post\b|\bnot (allowed|permitted|authori[sz]ed) to (post|send|deliver|mail|write)\b|\brefused due to recipient preferences\b|\b(user|recipient) (refuses|rejects?|refused|does not accept|doesn't accept)\b/,
    /\brecipient (is )?only accept(s|ing)\b|\brejected due to user rules\b|\bblocked by (the )?recipient\b|\b(message )?rejected by (the )?(recipient|user|addressee)\b(?!'s| domain| server| mail| system)|\b(account|mailbox) is protected by\b|\brestricted (sms|e-?mail|recipient)\b|\bambiguous recipient\b/,
    /\brelay(ing)? (is )?(mail )?(access )?(denied|refused|prohibited|disallowed|rejected|disabled|not (permitted|allowed|authori[sz]ed|supported)|restricted|attempt)\b|\b(unable|not (permitted|allowed|able)|unauthori[sz]ed|refus(ed|ing)|we do not|cannot|will not|won't|no) (to )?relay(ing)?\b|\bno relay\b|\binsecure (mail )?relay\b|\brelay\b.{0,20}\b(denied|not permitted|prohibited)/,
    /\b(domain|recipient|address) (is )?not (in|on) (my|our|the) (list|server)|\b(not|no) (a )?(local|relay) (domain|recipient|host)\b|\bnot (a )?(hosted|handled|served) (here|domain)\b|\b(is )?not a gateway user\b|\bweitergabe.{0,20}(verboten|nicht erlaubt)/,
    /\bnot accepting (e-?)?(mail|messages) from\b/,
    /\bhas blocked ((e-?)?mails?|messages?) from (this|the|your) (sender|address)\b|\b(takes|accepts) (e-?)?mail from (its|his|her|the|an) (address book|own list)\b|\bresolver\.rst\.restrictedtorecipientspermission\b/,
    /\bno mail-enabled subscriptions\b|\brejected by recipients\b/,
  ],
  likely: [
    /\brecipient .{0,40}(refused|denied|not allowed)\b/,
    /\bnot permitted to (deliver|send) (mail )?to\b/,
  ],
};
