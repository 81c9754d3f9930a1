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
  ],
};
