import type { Rule } from "./rule.ts";

/** The receiver could not read the message. */
export const contentMalformed: Rule = {
  reason: "content.malformed",
  statuses: ["6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.11", "5.2"],
  sure: [
    /\b(rfc ?(2822|5322|822|5321|2821|2047|7103))\b.{0,60}\b(compl|conform|violat|valid|specification|syntax)/,
    /\bnot (rfc ?)?(2822|5322|822|5321|2821)[- ]?(compliant|conformant)\b|\bnot compliant with rfc\b/,
    /\b(bare|stray) (cr|lf|line ?feed|carriage return|<lf>|newlines?)\b/,
    /\b(malformed|invalid|missing|duplicate|multiple|bad|improper|corrupt)( or (missing|invalid|malformed))? ('|")?(from|to|date|subject|message-id|mime|header|headers|message header|content-\w{1,30}|mime structure)\b/,
    /\bmultiple ('|")?from('|")? (addresses|headers|header fields)\b|\bno ('|")?(from|date|message-id|subject)('|")? header\b/,
    /\b(message|mail|body|mime|header|headers) (is |was |are )?(malformed|not well-formed|unparse?able|cannot be (read|parsed)|could not be parsed)\b/,
    /\b(8-?bit|nul|null|illegal|non-ascii) (characters?|bytes?|data)\b.{0,40}\b(header|body|message|not allowed|not permitted)/,
    /\bheaders?.{0,30}(8-?bit|illegal character|non-ascii)/,
    /\bconversion required\b/,
    /\bline (is )?too long\b|\bline length\b|\bcorrupt (message|mail)\b|\bmissing .{0,40}\bfrom:? header\b|\bmaximum line length\b|\bhas lines too long\b/,
    /\btoo many (hops in|headers|mime parts|nested)/,
    /\b(duplicated?|missing|invalid|malformed|bad|illegal|no) (message-?id|header|headers|date|from|mime|subject|content-type|boundary|charset)\b|\bheader (error|syntax|format|line|field)s?\b|\bconversion (to|from|failed|error|not|required)\b|\b(media|mime|content)[ -]type not (supported|accepted)\b|\b(message|mail) (format|syntax|header) (is )?(error|invalid|not|bad)|\b8bitmime\b|\bbinarymime\b|\brfc ?\d{3,4}\b.{0,30}\b(violation|error|compliant|requires?)/,
    /\b['"]?(from|to|date|subject|message-id)['"]? header is (missing|invalid)\b/,
  ],
};
