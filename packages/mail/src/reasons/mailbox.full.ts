import type { Rule } from "./rule.ts";

/** No room in the mailbox. The owner can make room, so the address stays good. */
export const mailboxFull: Rule = {
  reason: "mailbox.full",
  statuses: ["2.2"],
  sure: [
    /\b(mailbox|inbox|mail ?box|mail folder|maildrop|mail spool)( \S{1,100})? (is |was )?(currently )?(over ?full|full|exceeded)\b/,
    /\b(over|above|exceeds?|exceeded|exceeding|out of|beyond)( (his|her|their|its|the|my|your|storage|disk|mailbox|message|mail|email|allocated|account|user's)){0,4} (quota|storage limit|storage allocation|storage allotment)\b(?! for sending)/,
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
    /\b(mailbox|inbox|mail ?box|account|maildir|mailfolder|folder|user)\b.{0,40}\b(exceeds?|exceeded|over|above|beyond|reached)\b.{0,30}\b(allowed (size|quota)|quota|(size|storage|local|space|disk) ?limit|limit)\b/,
    /\bmessages in (the )?recipient'?s? mailbox exceeded\b|\b(too many|number of) messages in .{0,30}mailbox\b|\bas their mailbox is full\b|\bfull mailbox\b|\bmailbox would exceed\b|\bmaildir over\b/,
    /\bnot enough (storage |disk )?(space|room)\b.{0,40}\b(mailbox|user|account|recipient|deliver)|\bno (room|space) (left )?(in|for) .{0,20}(mailbox|user|account)|\b(disk|storage|mail|space|mailbox) ?quota\b.{0,30}\b(exceed|full|over|reach|violat|used)/,
    /\b(casella|mailbox|cassetta).{0,40}(piena|esaurit|superat)|\b(caixa (postal|de correio)|cota|quota).{0,40}(cheia|lotad|exced)|\b(postbus|mailbox|postvak).{0,30}\bvol\b|\b(boite|boîte).{0,40}(pleine|saturée)|\b(quota|espace).{0,30}dépassé|\b(buz[oó]n|cuota).{0,40}(llen|exced)/,
    /\b(postfach|mailbox|quota|speicher)\b.{0,60}(voll|überfüllt|erschöpft|überschritten)|(переполнен|превышен.{0,20}(квот|лимит|размер ящика))|邮箱.{0,6}(已满|容量)|(メールボックス|受信箱|容量|ボックス).{0,15}(いっぱい|満杯|一杯|超え|超過|オーバー)/,
  ],
  likely: [/\bquota\b/],
};
