import type { Rule } from "./rule.ts";

/** The owner has another address now (RFC 5321 §3.4, code 551). */
export const mailboxMoved: Rule = {
  reason: "mailbox.moved",
  statuses: ["1.6"],
  codes: [551],
  sure: [
    /\b(user|mailbox|recipient|address|account)( \S{1,100})? (has )?(moved|changed) (to|address)\b/,
    /\bhas (a )?(new|changed (his|her|their|its)) (e-?mail )?address\b/,
    /\bmailbox has moved\b|\buser has moved\b|\bdestination mailbox has moved\b/,
    /\buser not local; please try\b/,
    /\baddress (is )?no longer in use\b.{0,60}\bplease use\b/,
    /\b(has|have) (been )?(replaced by|migrated to|moved)\b.{0,60}|\b(new|current) (e-?mail )?address (is|:)|\bplease (use|update|note|send).{0,40}\bnew (e-?mail )?address\b|\buser has moved\b|\bis now known as\b|\baddress (has )?changed\b/,
  ],
};
