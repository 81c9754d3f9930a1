import type { Rule } from "./rule.ts";

/** The receiver could not read the message or a part of the conversation breaks its reading of a standard. */
export const contentMalformed: Rule = {
  reason: "content.malformed",
  statuses: ["6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.11", "5.1", "5.2", "5.4"],
  sure: [
    /\b(RFC ?(2822|5322|822|5321|2821|2047|7103))\b.{0,60}\b(compl|conform|violat|valid|specification|syntax)/i,
    /\bnot (RFC ?)?(2822|5322|822|5321|2821)[- ]?(compliant|conformant)\b|\bnot compliant with RFC\b/i,
    /\b(bare|stray) (CR|LF|line ?feed|carriage return|<LF>|newlines?)\b/i,
    /\b(malformed|invalid|missing|duplicate|multiple|bad|improper|corrupt)( or (missing|invalid|malformed))? ('|")?(From|To|Date|Subject|Message-ID|MIME|header|headers|message header|Content-\w{1,30}|mime structure)\b/i,
    /\bmultiple ('|")?From('|")? (addresses|headers|header fields)\b|\bno ('|")?(From|Date|Message-ID|Subject)('|")? header\b/i,
    /\b(message|mail|body|mime|header|headers) (is |was |are )?(malformed|not well-formed|unparse?able|cannot be (read|parsed)|could not be parsed)\b/i,
    /\b(8-?bit|NUL|null|illegal|non-ascii) (characters?|bytes?|data)\b.{0,40}\b(header|body|message|not allowed|not permitted)/i,
    /\bheaders?.{0,30}(8-?bit|illegal character|non-ascii)/i,
    /\bsyntax error\b|\b(bad|invalid) (sequence of )?(command|parameters?)\b|\bconversion required\b/i,
    /\bline (is )?too long\b|\bline length\b|\bcorrupt (message|mail)\b|\bmissing .{0,40}\bFrom:? header\b|\bmaximum line length\b|\bhas lines too long\b/i,
    /\btoo many (hops in|headers|MIME parts|nested)/i,
  ],
};
