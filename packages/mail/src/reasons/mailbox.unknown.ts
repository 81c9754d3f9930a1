import type { Rule } from "./rule.ts";

/** Nobody has this address at the receiver. Suppresses, so its words must speak of the recipient, not of the sender. */
export const mailboxUnknown: Rule = {
  reason: "mailbox.unknown",
  // Microsoft says 5.4.1 for addresses that its directory does not know.
  statuses: ["1.1", "1.3", "5.4.1"],
  sure: [
    /\b(unknown|no such|invalid|non-?existent|nonexisting|undefined) (local )?(user|recipient|mailbox|account)\b/,
    /\b(user|recipient|mailbox|account|address|addressee)( \S{1,100})? (is )?(unknown|not found|not known|nonexistent|non-existent|invalid)\b/,
    /\b(user|recipient|mailbox|account|address|addressee|email account)( \S{1,100})? (that you tried to reach )?(does ?n[o']t|do not|did not|does not appear to) (currently )?exist/,
    /\bno (such )?(user|mailbox|recipient|account|person)( \S{1,100})? (here|by that name|with that name|at this address)/,
    /\bno mailbox (here )?by that name/,
    /\bmailbox( name)? (unavailable or )?not found\b/,
    /\bunknown (or illegal alias|address|recipient address|virtual mailbox)\b/,
    /\buser unknown\b/,
    /\bunrouteable address\b/,
    /\bunknown in (virtual|local|relay) (alias|mailbox|recipient) (table|recipient table)/,
    /\brecipientnotfound\b|\brecipnotfound\b/,
    /\bnot (a valid|our) (mailbox|customer|user|recipient)\b/,
    /\bdoes(n't| not) have an? [\w.-]{1,60} account\b/,
    /\bthis user doesn't have\b/,
    /\baddress (does not|doesn't) (match|belong to) (any|a) (known |valid )?(user|recipient|mailbox)/,
    /\brecipient address rejected: (access denied|undeliverable address|invalid recipient|user unknown)/,
    /\bthe email address you entered couldn't be found\b|\bwasn't found at\b|\bcouldn't be found or is invalid\b/,
    /\b(empfänger|empfaenger|postfach|benutzer) .{0,60}(existiert nicht|unbekannt|nicht gefunden)/,
    /\b(utilisateur|destinataire|boîte) .{0,40}(inconnue?|n'existe pas)/,
    /\b(usuario|destinatario|buzón) .{0,40}(desconocido|no existe)/,
    /宛先(アドレス)?が(見つかりません|存在しません)|ユーザー?が(見つかりません|存在しません)/,
    /\berr_mailbox_not_found\b|\bno such address\b/,
    /\baddressee unknown\b|\bunknown addressee\b/,
  ],
  likely: [
    /\brecipient (address )?(rejected|unknown|not accepted)\b/,
    /\baddress rejected\b|\binvalid (mailbox|address|recipients?)\b/,
    /\brecipient (verification|verify) failed\b|\bunverified (address|recipient)\b|\bfailed recipient validation\b/,
    /\bmailbox unavailable\b|\bmailbox not available\b/,
    /\bnot a known user\b|\bunable to (find|locate) (the )?(recipient|user|mailbox)\b/,
    /\bcheck the recipient's? (email )?address\b|\bbad destination mailbox address\b/,
  ],
};
