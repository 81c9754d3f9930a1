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
  ],
  likely: [/\bspam\b|\bjunk\b|\bunwanted\b/, /\bcontent\b/],
};
