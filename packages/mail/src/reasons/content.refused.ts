import type { Rule } from "./rule.ts";

/** The receiver judged the content: spam, phishing, a link or an attachment it does not take. */
export const contentRefused: Rule = {
  reason: "content.refused",
  statuses: ["6.0", "6.1", "5.7.7"],
  sure: [
    /\b(message|mail|e-?mail|content|this)( \S{1,60})? (has been |was |is |looks |appears |seems |contained |contains |considered |rejected |identified |detected |classified |flagged |scored |marked )+(to be |as |like |for |due to |because of )?(an? |likely |high-probability |probable |possible |suspected )*(spam|junk|phish|phishing|unsolicited|bulk|uce|ube)/,
    /\b(high )?(probability|likelihood) of spam\b|\bspam (message|content|score|detected|rejected|refused|filter|mail)\b|\bis spam\b|\blooks like spam\b|\bidentified as spam\b/,
    /\blikely (unsolicited|suspicious)\b|\bsuspected (spam|phish)|\bunsolicited (mail|bulk|commercial|e-?mail|content)\b/,
    /\b(content|message) (rejected|blocked|refused|denied|filtered|policy|violation|not allowed|unacceptable)\b/,
    /\b(rejected|blocked|refused|denied|filtered)\b.{0,40}\b(content|spam|spammy|url in|link in)\b/,
    /\b(attachment|file type|file extension|executable)( \S{1,60})?( type)? (is |was |are )?(not (allowed|permitted|accepted)|blocked|rejected|prohibited|forbidden|potential security)/,
    /\bblocked (attachment|file|content|because its content)|\bbecause its content presents a potential security issue\b/,
    /\b(spamassassin|rspamd|amavis)\b|\bube\b|\bdcc\b.{0,20}\bbulk\b/,
    /\bphish(ing)?\b|\bspam-?(check|verdict|like)\b|\bmessage refused by .{0,20}filter/,
    /\b554 (denied|refused).{0,30}\[cs\]|\bdt:spm\b|\bcpr\d{1,3}\.fr.{0,60}spam/,
    /\bheaders? (contain|rejected)|\burls? (is |are )?(black|block) ?listed/,
    /\b(blacklisted|blocked|listed|suspicious|malicious|bad|forbidden|prohibited) (url|uri|link|content|attachment|file|words?|phrase|subject)s?\b|\b(url|uri|link)s?\b.{0,30}\b(listed|black|block)|\b(surbl|uribl)\b|\bdoes not pass .{0,20}(content|spam)|\b(spam|junk|bulk)[- ]?(mail|message|e-?mail)s? (is|are|was|has been|not|detected|rejected|blocked|refused|discarded)/,
    /\b(is|was|as|being|looks like|considered|classified|flagged|marked|detected|tagged|identified) (as |to be |an? )?(possible |probable |likely )?(spam|junk|uce|ube|phishing|bulk)\b|\bspam\b.{0,30}\b(rejected|refused|blocked|detected|score|threshold|filter|content|discarded|not accepted|policy)\b|\bwe (do not|don't) (accept|want|like) (your )?spam\b|\bspamming not allowed\b|\bsent spam\b/,
    /\b(executable|illegal|dangerous|forbidden|unwanted|banned|unallowed|disallowed) (files?|attachments?|extensions?|content)\b|\battachments?\b.{0,40}\b(not|blocked|rejected|forbidden|prohibited|banned)\b|\bmessage (was |has been )?(filtered|quarantined)\b|\bals spam\b|\bcomme (du )?spam\b|\bcomo spam\b|\bспам|垃圾邮件|迷惑メール|スパム/,
  ],
  likely: [/\bspam\b|\bjunk\b|\bunwanted\b/, /\bcontent\b/],
};
