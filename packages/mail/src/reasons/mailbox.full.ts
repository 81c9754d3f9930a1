import type { Rule } from "./rule.ts";

/** No room in the mailbox. The owner can make room, so the address stays good. */
export const mailboxFull: Rule = {
  reason: "mailbox.full",
  statuses: ["2.2"],
  sure: [
    /\b(mailbox|inbox|mail ?box|mail folder|maildrop|mail spool)( \S{1,100})? (is |was )?(currently )?(over ?full|full|exceeded)\b/,
    /\b(over|above|exceeds?|exceeded|exceeding|out of|beyond)( (his|her|their|its|the|my|your|storage|disk|mailbox|message|mail|email|allocated|account|user's)){0,4} (quota|storage limit|storage allocation|storage allotment)\b/,
    /\bover ?quota\b|\bquota (has been )?(exceeded|violation|full|limit)\b|\boverquota\b/,
    /\bmailbox (size |storage )?limit (was |has been )?(exceeded|reached)\b/,
    /\b(insufficient|not enough|no more) (disk |storage |mailbox )?space\b.{0,40}\b(user|mailbox|recipient|account)\b/,
    /\b(user|mailbox|recipient|account)( \S{1,100})? (has )?(insufficient|not enough|no) (disk |storage )?(space|quota)\b/,
    /\bout of (storage|disk) space\b|\binbox is out of storage\b/,
    /\brecipient'?s? (inbox|mailbox|storage) (is )?(out of|full)/,
    /\btoo (many messages|much mail) (in|on) (the|this) mailbox\b|\bmailbox .{0,20}too large\b/,
    /\bmailboxfull\b|\bquotaexceeded(exception)?\b|\bstoredrv\.deliver.{0,80}(quota|full)/,
    /\b(postfach|mailbox|speicherplatz).{0,40}(voll|erschöpft|überschritten|ueberschritten)/,
    /\bboîte .{0,30}pleine\b|\bbuzón .{0,20}lleno\b|メールボックスがいっぱい|容量.{0,10}(超過|オーバー)/,
  ],
  likely: [/\bquota\b/],
};
