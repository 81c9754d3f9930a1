import type { Rule } from "./rule.ts";

/** The receiver does not take mail from this sender's address, domain or host name, whatever its reputation. */
export const senderRefused: Rule = {
  reason: "sender.refused",
  statuses: ["1.7", "1.8", "7.2", "5.7.27"],
  sure: [
    /\b(invalid|unknown|unverified|unresolvable|bad|forged) (envelope )?(sender|return[- ]path|mail from)( address)?\b/,
    /\bsender( address| domain| email)?( \S{1,100})? (is )?(rejected|refused|denied|blocked|not (allowed|accepted|verified|found|authori[sz]ed)|invalid|unknown|verify failed|does not exist)\b/,
    /\bsender (verification|verify|callout|address verification) (failed|failure)\b|\bcould not (verify|resolve) (the )?sender\b/,
    /\b(sender|from) (address |domain )?(must|should) (exist|resolve)\b|\bdomain of sender address\b/,
    /\b(your|sender'?s?) (domain|address|email address) (is )?(blocked|blacklisted|not accepted|denied|not allowed)\b/,
    /\bblocked senders?\b|\bsender.{0,40}(is )?on (the|our|a) (recipient'?s? )?(block|black|deny)(ed)? ?(sender )?list\b/,
    /\bhelo( command)?( \S{1,100})? (rejected|refused|invalid)\b|\b(invalid|bad|bogus) (helo|ehlo)\b|\bhelo.{0,20}(does not|doesn't) (resolve|match)\b/,
    /\bmail from domain .{0,40}(not|no) .{0,20}(exist|resolve|mx|valid)/,
    /\breturn-path .{0,40}(invalid|not valid|does not exist)\b|\bbad outbound sender\b/,
    /\b(sender|originator|from)( \S{1,100})?( address| domain)? (is |was |has been )?(not (known|recogni[sz]ed|valid|accepted|verified|registered|permitted)|unverified|unroutable|blacklisted|blocklisted|banned|spammer|rejected|denied|blocked|refused)\b/,
    /\b(null|empty|blank) (envelope )?(sender|return[- ]path|reverse[- ]path)s?\b.{0,30}\b(not|refused|rejected)|\b(unroutable|unrouteable|invalid|bogus|illegal|fake|unknown|non-existent) (sender|mail from|from address|return address|originator)\b|\bbatv\b|\bbackscatter\b|sender verify failed\b|\bverification failed for <|\bcallout verification\b/,
    /\bdoes not accept mail from\b|\bmail from (this|your) (address|domain|sender)\b.{0,30}\b(not|refused|rejected|blocked|denied)|\b(email|sender) address is not verified\b|\bnot owned by (the )?(user|auth)|\bsender (must|has to|should)\b|\bemetteur invalide|\babsender.{0,40}(abgelehnt|ungültig|unbekannt|gesperrt)|\bremitente.{0,40}(rechazad|bloquead|inv[aá]lid)|\bexpéditeur.{0,40}(rejet|refus|invalide|inconnu)/,
    /\bunregistered domains\b|\benvelope blocked - user\b|\binvalid dns mx\b|\bsender address is not allowed\b/,
  ],
  likely: [/\bsender\b.{0,40}\b(rejected|refused|denied|blocked)\b/],
};
