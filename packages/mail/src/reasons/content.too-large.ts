import type { Rule } from "./rule.ts";

/** Larger than the receiver, the mailbox or something on the way takes. */
export const contentTooLarge: Rule = {
  reason: "content.too-large",
  statuses: ["3.4", "2.3"],
  sure: [
    /\b(message|mail|e-?mail|body|data|attachment|header|line)( \S{1,60})? (size |length )?(is |was )?(too (large|big|long)|exceeds?|exceeded|over|larger than|bigger than)\b(?!.{0,20}\bquota)/,
    /\b(exceeds?|exceeded|over|above|beyond)\b.{0,40}\b(size|length) (limit|allowed|maximum|restriction)/,
    /\b(maximum|max|fixed maximum|allowed|permitted) (message |mail |e-?mail |body )?size\b/,
    /\bmessage (too (big|large)|size (exceeds|limit))\b|\btoo much mail data\b|\btoo many body bytes\b/,
    /\bnachricht (ist )?zu groß\b|\bmessage trop (gros|volumineux)\b|メールサイズ.{0,10}(超え|大き)/,
    /\bresolver\.rst\.(send|recip)sizelimit\b/,
    /\b(mail|message|e-?mail|attachment|data|letter) (file |body )?size (limit|exceed|is too|too|over|larger)|\bsize limit (is )?(exceeded|reached|violat)|\b(too (large|big)|larger than|bigger than|oversized?)\b.{0,60}\b(message|mail|limit|size|system|recipient|attachment|maximum|bytes|mb|kb)\b|\b(message|mail|attachment)s?\b.{0,40}\btoo (large|big)\b/,
    /\bexceed(s|ed|ing)? (the |our |its |your )?(maximum |max |allowed |fixed |incoming |system |server |message |file )*(size|length)\b|\bsize (of|for) (the |this )?(message|mail|attachments?)\b.{0,30}\b(exceed|large|big|limit)|\btaille\b.{0,40}(dépass|excess|maxim)|\b(nachricht|mail|e-mail)\b.{0,30}zu (groß|gross)|\bgröße\b.{0,30}überschr|\btamaño\b.{0,30}(exced|máxim)|サイズ.{0,12}(超|大き|制限)/,
  ],
};
