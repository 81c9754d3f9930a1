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
    [/\?p=(?:unsolicited(?:ip|message)?error|notauthorizederror)/, "reputation.listed"],
    [/\?p=(?:blockedmessage)/, "content.refused"],
    [/\?p=maxsizeerror/, "content.too-large"],
  ],
  microsoft: [
    // The mailbox is not in the directory of the tenant, whatever "access denied" means elsewhere.
    [/recipient address rejected: access denied/, "mailbox.unknown"],
    [/\bs(?:3140|3150|775|844)\b|\b(?:as|cs)\(\d{4}\).{0,40}banned/, "reputation.listed"],
    [/\brp-00[1-4]\b|\bs(?:2017062302|77714)\b/, "rate.limited"],
    [/meet the required authentication level/, "sender.unauthenticated"],
    [/tenantattribution|tenant has exceeded|tenantinboundattribution/, "policy.refused"],
  ],
  yahoo: [
    [/\bdelivery error: dd\b.{0,80}(?:doesn't have|not found)|\b554\.30\b/, "mailbox.unknown"],
    [/this mailbox is disabled/, "mailbox.disabled"],
    [/\[tss?\d{2}\]/, "rate.limited"],
    [/\[(?:bl2[13]|ph01|bl5\d)\]/, "reputation.listed"],
  ],
  apple: [
    [/\[cs01\]/, "policy.refused"],
    [/\[(?:hm|hme)\d\]|\bhm08\b/, "reputation.listed"],
  ],
  gmx: [
    [/\bmailbox unavailable\b/, "mailbox.unknown"],
    [/\bc=hi\b|reject due to policy/, "policy.refused"],
    [/nemesis.{0,120}black ?listed/, "reputation.listed"],
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
    [/ofr(?:204_|_)?418|\b418\b/, "mailbox.unknown"],
    [/ofr_?50[68]|ofr_?51\d/, "reputation.listed"],
  ],
  // Docomo says the same for unknown addresses and for owners who take no mail from strangers; most are unknown.
  docomo: [[/unknown user|user unknown/, "mailbox.unknown"]],
};
