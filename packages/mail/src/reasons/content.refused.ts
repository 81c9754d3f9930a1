import type { Rule } from "./rule.ts";

/** The receiver judged the content: spam, phishing, a link or an attachment it does not take. */
export const contentRefused: Rule = {
  reason: "content.refused",
  statuses: ["6.0", "6.1", "5.7.7"],
  sure: [
    /\b(message|mail|e-?mail|content|this)( \S{1,60})? (has been |was |is |looks |appears |seems |contained |contains |considered |rejected |identified |detected |classified |flagged |scored |marked )+(to be |as |like |for |due to |because of )?(an? |likely |high-probability |probable |possible |suspected )*(spam|junk|phish|phishing|unsolicited|bulk|uce|ube)/i,
    /\b(high )?(probability|likelihood) of spam\b|\bspam (message|content|score|detected|rejected|refused|filter|mail)\b|\bis spam\b|\blooks like spam\b|\bidentified as spam\b/i,
    /\blikely (unsolicited|suspicious)\b|\bsuspected (spam|phish)|\bunsolicited (mail|bulk|commercial|e-?mail|content)\b/i,
    /\b(content|message) (rejected|blocked|refused|denied|filtered|policy|violation|not allowed|unacceptable)\b/i,
    /\b(rejected|blocked|refused|denied|filtered)\b.{0,40}\b(content|spam|spammy|URL in|link in)\b/i,
    /\b(attachment|file type|file extension|executable)( \S{1,60})?( type)? (is |was |are )?(not (allowed|permitted|accepted)|blocked|rejected|prohibited|forbidden|potential security)/i,
    /\bblocked (attachment|file|content|because its content)|\bbecause its content presents a potential security issue\b/i,
    /\b(spamassassin|rspamd|amavis)\b|\bUBE\b|\bDCC\b.{0,20}\bbulk\b/i,
    /\bphish(ing)?\b|\bspam-?(check|verdict|like)\b|\bmessage refused by .{0,20}filter/i,
    /\b554 (denied|refused).{0,30}\[CS\]|\bDT:SPM\b|\bcpr\d{1,3}\.fr.{0,60}spam/i,
    /\bheaders? (contain|rejected)|\bURLs? (is |are )?(black|block) ?listed/i,
  ],
  likely: [/\bspam\b|\bjunk\b|\bunwanted\b/i, /\bcontent\b/i],
};
