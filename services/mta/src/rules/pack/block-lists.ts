import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "spamhaus-listed",
    about: "The receiver finds this address on a list of Spamhaus",
    when: { pattern: String.raw`\bspamhaus(?:\.org|\.net)?\b` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7",
        "550-JunkMail rejected - mail.example.com [192.0.2.7]:51002\r\n550 is in an RBL: https://www.spamhaus.org/query/ip/192.0.2.7",
      ],
      passes: ["554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.spamcop.net"],
    },
  },
  {
    id: "spamcop-listed",
    about: "The receiver finds this address on the list of SpamCop",
    when: { pattern: String.raw`bl\.spamcop\.net|spamcop\.net/` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.spamcop.net; Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.7",
      ],
      passes: ["554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org"],
    },
  },
  {
    id: "cloudmark-listed",
    about: "The receiver blocks this address by Cloudmark",
    when: { pattern: String.raw`csi\.cloudmark\.com|cloudmark sender intelligence` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: ["550 5.7.1 Blocked - see https://csi.cloudmark.com/reset-request/?ip=192.0.2.7"],
      passes: ["550 5.7.1 Message blocked due to spam content in the message."],
    },
  },
  {
    id: "abusix-listed",
    about: "The receiver finds this address on a list of Abusix",
    when: { pattern: String.raw`\babusix\b|mail\.abusix\.zone` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using combined.mail.abusix.zone; https://lookup.abusix.com/search?q=192.0.2.7",
      ],
      passes: ["554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.spamcop.net"],
    },
  },
  {
    id: "other-list",
    about: "The receiver names a block list that has this address",
    when: {
      reason: "reputation.listed",
      pattern: String.raw`blocked using|listed (?:at|in|on|by)|in an RBL|\bDNSBL\b`,
    },
    threshold: { count: 3, withinS: 900 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: ["554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using dnsbl.example.org"],
      passes: [
        "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown in local recipient table",
      ],
    },
  },
  {
    id: "listed-elsewhere",
    about: "This address is listed: mail to the receiver leaves from another pool",
    when: { reason: "reputation.listed", code: "5xx" },
    threshold: { count: 3, withinS: 900 },
    action: "switch-pool",
    forS: 14400,
    pool: "overflow",
    enabled: false,
    examples: {
      matches: [
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7",
      ],
      passes: [
        "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown in local recipient table",
      ],
    },
  },
];
