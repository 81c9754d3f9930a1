import type { Reason } from "@tyto/contracts";

export const providers = [
  "gmail",
  "microsoft",
  "yahoo",
  "apple",
  "gmx",
  "mailru",
  "yandex",
  "telekom",
  "orange",
  "tencent",
  "netease",
  "docomo",
] as const;
/** Who runs a server, where that changes what its words mean. */
export type Provider = (typeof providers)[number];

const hosts: Record<Provider, RegExp> = {
  gmail: /^(?:gmail|google|googlemail)(?:\.com)?$|\.(?:google|googlemail|gmail)\.com$/,
  microsoft:
    /^(?:microsoft|outlook|hotmail|live|msn|office365)(?:\.\w{2,3})?$|\.(?:outlook|hotmail|live)\.com$|\.protection\.outlook\.com$/,
  yahoo:
    /^(?:yahoo|aol|ymail|rocketmail|verizon)(?:\.[a-z.]{2,6})?$|\.(?:yahoodns\.net|yahoo\.com|aol\.com|ne1\.yahoo\.com)$/,
  apple: /^(?:apple|icloud|me|mac)(?:\.com)?$|\.(?:icloud|apple|me)\.com$/,
  gmx: /^(?:gmx|web\.de|1und1|1and1|kundenserver|mail\.com|ionos)(?:\.\w{2,3})?$|\.(?:gmx\.net|gmx\.com|web\.de|kundenserver\.de|1and1\.com|mail\.com|ionos\.com)$/,
  mailru: /^(?:mailru|mail\.ru|bk\.ru|inbox\.ru|list\.ru)$|\.mail\.ru$/,
  yandex: /^(?:yandex|ya)(?:\.\w{2,3})?$|\.yandex\.(?:ru|net|com)$/,
  telekom: /^(?:telekom|t-online|magenta)(?:\.de)?$|\.t-online\.de$/,
  orange: /^(?:orange|wanadoo)(?:\.fr)?$|\.(?:orange|wanadoo)\.fr$/,
  tencent: /^(?:tencent|qq|foxmail)(?:\.com)?$|\.qq\.com$/,
  netease: /^(?:netease|163|126|yeah)(?:\.(?:com|net))?$|\.(?:netease\.com|163\.com|126\.com)$/,
  docomo: /^docomo(?:\.ne\.jp)?$|\.docomo\.ne\.jp$/,
};

/** The provider behind a name (`gmail`), a mail domain (`gmail.com`) or an MX host (`gmail-smtp-in.l.google.com`). */
export function readProvider(name: string): Provider | undefined {
  const host = name.trim().toLowerCase().replace(/\.$/, "").slice(0, 253);
  return providers.find((provider) => hosts[provider].test(host));
}

/** What a provider says in words that mean something else, or nothing, elsewhere. Patterns see small letters. */
export const dialects: Partial<Record<Provider, readonly (readonly [pattern: RegExp, reason: Reason])[]>> = {
  gmail: [
    [/\?p=(?:nosuchuser|receivingratenotfound)/, "mailbox.unknown"],
    [/\?p=(?:disableduser|inactive)/, "mailbox.disabled"],
    [/\?p=(?:overquota\w{0,10})/, "mailbox.full"],
    [/\?p=(?:receivingrate\w{0,10}|unsolicitedratelimiterror|mailratelimit\w{0,10})/, "rate.limited"],
    [/\?p=(?:unauthenticatedmail|sender_?auth\w{0,20}|dmarc\w{0,10})/, "sender.unauthenticated"],
    [/\?p=unsolicitedmessageerror(?!.{0,20}\breputation\b)/, "content.refused"],
    [/\?p=(?:unsolicited(?:ip)?error|notauthorizederror)/, "reputation.listed"],
    [/\?p=(?:blockedmessage)/, "content.refused"],
    [/\?p=maxsizeerror/, "content.too-large"],
  ],
  microsoft: [
    // The mailbox is not in the directory of the tenant, whatever "access denied" means elsewhere.
    [/recipient address rejected: access denied/, "mailbox.unknown"],
    // Outlook.com has no such mailbox, or none that it would open for anybody.
    [/mailbox unavailable(?: \(s\d{4,12}\))?/, "mailbox.unknown"],
    [/\b(?:temporarily rate limited|exceeded the (?:maximum number|rate limit))\b/, "rate.limited"],
    [/\bs(?:3140|3150|775|844)\b|\b(?:as|cs)\(\d{4}\).{0,40}banned/, "reputation.listed"],
    [/\b(?:sc|dy|ou)-00[1-4]\b/, "reputation.listed"],
    [/\brp-00[1-4]\b|\bs77714\b/, "rate.limited"],
    [/meet the required authentication level/, "sender.unauthenticated"],
    [/tenantattribution; relay access denied/, "recipient.refused"],
    [/tenantattribution|tenant has exceeded|tenantinboundattribution/, "policy.refused"],
    [/no mail-enabled subscriptions/, "recipient.refused"],
  ],
  yahoo: [
    [/this mailbox is disabled|\b554\.30\b/, "mailbox.disabled"],
    [/\bdelivery error: dd\b.{0,80}(?:doesn't have|not found|not a valid recipient)/, "mailbox.unknown"],
    // "Permanently deferred" with a 5xx refuses the address; with a 4xx, TS03, it is put off for a day or so.
    [/\[tss(?:0[6-9]|[1-9]\d)\]/, "reputation.listed"],
    [/\[tss?\d{2}\]/, "rate.limited"],
    [/\[gl\d{2}\]/, "greylisted"],
    [/\bvs99-ip/, "reputation.listed"],
    [/\[(?:bl2[13]|ph01|bl5\d)\]/, "reputation.listed"],
  ],
  apple: [
    [/\[cs01\]/, "policy.refused"],
    [/\[(?:hm|hme)\d\]|\bhm08\b/, "reputation.listed"],
  ],
  gmx: [
    // It says "mailbox unavailable" of everything, and the true reason behind that.
    [/\bc=(?:rlim|tc|r060\d)\b|send limit exceeded|too many connections/, "rate.limited"],
    [/invalid dns|sender address is not allowed/, "sender.refused"],
    [/nemesis.{0,120}(?:black|block) ?listed/, "reputation.listed"],
    [/\bc=hi\b|reject due to policy/, "policy.refused"],
    [/\bquota exceeded\b|\bexceeded storage\b|\bmailbox is full\b/, "mailbox.full"],
    [/\bmailbox unavailable\b/, "mailbox.unknown"],
  ],
  mailru: [
    [
      /invalid mailbox|local mailbox .{0,80}unavailable: (?:user not found|account is disabled)/,
      "mailbox.unknown",
    ],
    [/spam message (?:rejected|discarded)/, "content.refused"],
  ],
  telekom: [[/a problem occurred.{0,80}(?:tosa|postmaster)/, "reputation.listed"]],
  orange: [
    [/ofr(?:\d{3})?_41[68]\b|\[41[68]\]/, "mailbox.unknown"],
    [/ofr(?:\d{3})?_415\b/, "mailbox.disabled"],
    [/ofr(?:\d{3})?_417\b/, "mailbox.full"],
    [/ofr(?:\d{3})?_519\b/, "content.refused"],
    [/ofr(?:\d{3})?_(?:50[68]|51\d)\b/, "reputation.listed"],
    [/ofr(?:\d{3})?_(?:10[2-5]|40[12])\b/, "rate.limited"],
    [/ofr(?:\d{3})?_999\b/, "receiver.busy"],
  ],
  tencent: [[/suspected bounce attacks/, "reputation.listed"]],
  netease: [
    [/\brp:(?:qrc|tre|cel)\b|\bmi:(?:cel|dmc|ccl)\b/, "rate.limited"],
    [/\bmi:(?:nbu|sfq)\b|user not found/, "mailbox.unknown"],
    [/\bmi:(?:spb|ipb|dul)\b/, "reputation.listed"],
    [/\bmi:(?:dma|spf)\b/, "sender.unauthenticated"],
    [/\bdt:(?:spm|sum)\b/, "content.refused"],
  ],
  // Docomo says the same for unknown addresses and for owners who take no mail from strangers; most are unknown.
  docomo: [[/unknown user|user unknown/, "mailbox.unknown"]],
};
