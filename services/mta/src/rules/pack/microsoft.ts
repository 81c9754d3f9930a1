import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "microsoft-block-list",
    about: "Outlook has this address or its network on its block list",
    when: {
      provider: "microsoft",
      pattern: String.raw`\bS31(?:40|50)\b|part of their network is on our block list`,
    },
    threshold: { count: 3, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors.",
      ],
      passes: [
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
        "451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719)",
      ],
    },
  },
  {
    id: "microsoft-banned-ip",
    about: "Microsoft 365 has banned this address",
    when: { provider: "microsoft", pattern: "banned sending IP" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list please visit https://sender.office.com/ and follow the directions.",
      ],
      passes: [
        "550 5.7.511 Access denied, banned sender[192.0.2.7]. To request removal from this list please forward this message to delist@microsoft.com.",
      ],
    },
  },
  {
    id: "microsoft-banned-sender",
    about: "Microsoft has banned this sender",
    when: { provider: "microsoft", enhanced: "5.7.511" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.511 Access denied, banned sender[192.0.2.7]. To request removal from this list please forward this message to delist@microsoft.com.",
      ],
      passes: ["550 5.7.606 Access denied, banned sending IP [192.0.2.7]."],
    },
  },
  {
    id: "microsoft-ip-reputation-limit",
    about: "Outlook limits this address because of its reputation",
    when: { provider: "microsoft", enhanced: "4.7.650" },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)",
      ],
      passes: [
        "451 4.7.651 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation.",
      ],
    },
  },
  {
    id: "microsoft-new-ip-limit",
    about: "Outlook limits this address, which it does not know well",
    when: { provider: "microsoft", enhanced: "4.7.651" },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 900,
    enabled: true,
    examples: {
      matches: [
        "451 4.7.651 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://aka.ms/postmaster (S775)",
      ],
      passes: [
        "451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation.",
      ],
    },
  },
  {
    id: "microsoft-hourly-limit",
    about: "Outlook takes no more of this address this hour or day",
    when: { provider: "microsoft", pattern: String.raw`\bRP-00[123]\b` },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "421 RP-001 (SNT004-MC1F43) Unfortunately, some messages from 192.0.2.7 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day.",
        "421 RP-002 (BAY004-MC1F1) Unfortunately, some messages from 192.0.2.7 weren't sent.",
      ],
      passes: ["421 4.3.2 Service not available, closing transmission channel"],
    },
  },
  {
    id: "microsoft-server-busy",
    about: "Exchange Online asks this address to slow down",
    when: { provider: "microsoft", enhanced: "4.7.500" },
    threshold: { count: 5, withinS: 300 },
    action: "slow-site",
    forS: 600,
    enabled: true,
    examples: {
      matches: [
        "451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719) [BN8NAM11FT050.eop-nam11.prod.protection.outlook.com]",
      ],
      passes: ["451 4.7.0 Temporary server error. Please try again later. PRX4"],
    },
  },
  {
    id: "microsoft-thread-limit",
    about: "Exchange Online has too many deliveries to one recipient under way",
    when: { provider: "microsoft", pattern: "recipient thread limit exceeded" },
    threshold: { count: 5, withinS: 300 },
    action: "slow-site",
    forS: 300,
    enabled: true,
    examples: {
      matches: ["432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded"],
      passes: [
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.",
      ],
    },
  },
  {
    id: "microsoft-concurrency",
    about: "Exchange Online has too many connections of this sender",
    when: { provider: "microsoft", pattern: "concurrent connections limit exceeded" },
    threshold: { count: 3, withinS: 300 },
    action: "slow-site",
    forS: 300,
    enabled: true,
    examples: {
      matches: [
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.",
      ],
      passes: ["432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded"],
    },
  },
  {
    id: "microsoft-unauthenticated",
    about: "Microsoft refuses mail because the sender's domain is not authenticated",
    when: {
      provider: "microsoft",
      pattern: "doesn't meet the required authentication level|does not pass DMARC verification",
    },
    threshold: { count: 20, withinS: 900 },
    action: "hold-organization-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.515 Access denied, sending domain example.com doesn't meet the required authentication level. The sender's domain in the 5322.From address doesn't meet the authentication requirements (SPF fail, DKIM fail, DMARC fail).",
        "550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.",
      ],
      passes: [
        "550 5.7.64 TenantAttribution; Relay Access Denied",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ann@example.com not found by SMTP address lookup",
      ],
    },
  },
  {
    id: "microsoft-content",
    about: "Microsoft takes the message for spam",
    when: { provider: "microsoft", code: "5xx", reason: "content.refused" },
    threshold: { count: 20, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: ["550 5.7.1 Message rejected as spam by Content Filtering."],
      passes: ["550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy"],
    },
  },
];
