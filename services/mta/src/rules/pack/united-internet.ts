import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "gmx-listed",
    about: "GMX and WEB.DE have this address on a block list",
    when: { provider: "united-internet", pattern: "IP address is (?:black|block) ?listed" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554-web.de (mxweb012) Nemesis ESMTP Service not available\r\n554-No SMTP service\r\n554-IP address is black listed.\r\n554 For explanation visit https://postmaster.web.de/de/case?c=r0201",
        "554-gmx.net (mxgmx004) Nemesis ESMTP Service not available\r\n554 IP address is block listed.",
      ],
      passes: [
        "554-gmx.net (mxgmx116) Nemesis ESMTP Service not available\r\n554-No SMTP service\r\n554 Bad DNS PTR resource record.",
      ],
    },
  },
  {
    id: "gmx-reverse-dns",
    about: "GMX and WEB.DE take nothing from an address without proper reverse DNS",
    when: { provider: "united-internet", pattern: "bad DNS PTR resource record" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554-gmx.net (mxgmx116) Nemesis ESMTP Service not available\r\n554-No SMTP service\r\n554-Bad DNS PTR resource record.\r\n554 For explanation visit https://postmaster.gmx.net/en/case?c=r0401&i=ip&v=192.0.2.7",
      ],
      passes: [
        "554-web.de (mxweb012) Nemesis ESMTP Service not available\r\n554 IP address is black listed.",
      ],
    },
  },
  {
    id: "gmx-rate",
    about: "GMX and WEB.DE limit what this address may send",
    when: {
      provider: "united-internet",
      code: "4xx",
      pattern:
        "nemesis esmtp service not available|requested mail action not taken.{0,60}(?:limit|exceeded)|too many (?:connections|messages)",
    },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421-gmx.net (mxgmx010) Nemesis ESMTP Service not available\r\n421-Service not available\r\n421 For explanation visit https://postmaster.gmx.net/en/case?c=r1501",
        "450-Requested mail action not taken: mailbox unavailable\r\n450 Mail send limit exceeded. For explanation visit https://postmaster.gmx.net/en/error-messages",
      ],
      passes: [
        "550 Requested action not taken: mailbox unavailable\r\n550 For explanation visit https://postmaster.gmx.net/en/case?c=r0103&i=ip",
      ],
    },
  },
  {
    id: "gmx-policy",
    about: "GMX and WEB.DE refuse the message for its content",
    when: { provider: "united-internet", pattern: "reject due to policy restrictions" },
    threshold: { count: 15, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554-Transaction failed\r\n554-Reject due to policy restrictions.\r\n554 For explanation visit https://postmaster.gmx.net/en/case?c=hi",
      ],
      passes: ["550 5.1.1 Empfänger existiert nicht"],
    },
  },
];
