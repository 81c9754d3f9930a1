import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "apple-local-policy",
    about: "iCloud refuses the message by its content or links",
    when: { provider: "apple", pattern: String.raw`\[CS0[1-9]\]` },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137",
      ],
      passes: [
        "554 5.7.1 [HM08] Your message was rejected due to example.org's DMARC policy. See https://support.apple.com/en-us/HT204137 for info",
      ],
    },
  },
  {
    id: "apple-dmarc",
    about: "iCloud refuses mail by the DMARC policy of the sender's own domain",
    when: { provider: "apple", pattern: String.raw`\[HM08\]|due to \S+ DMARC policy` },
    threshold: { count: 20, withinS: 900 },
    action: "hold-organization-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 [HM08] Your message was rejected due to example.org's DMARC policy. See https://support.apple.com/en-us/HT204137 for info",
      ],
      passes: ["550 5.7.1 [CS01] Message rejected due to local policy."],
    },
  },
  {
    id: "apple-reputation",
    about: "iCloud takes no mail from this address because of its reputation",
    when: { provider: "apple", pattern: String.raw`\[HM0[1-7]\]|blocked - see https://\S*proofpoint` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.7",
        "554 5.7.1 [HM07] Message from (192.0.2.7) has been blocked",
      ],
      passes: [
        "552 5.2.2 <ann@icloud.com>: user is over quota",
        "554 5.7.1 [HM08] Your message was rejected due to example.org's DMARC policy.",
      ],
    },
  },
  {
    id: "apple-too-many",
    about: "iCloud takes fewer messages or connections from this address",
    when: {
      provider: "apple",
      code: "4xx",
      pattern: String.raw`too many (?:messages|connections|errors)|\[TS\d\d\]`,
    },
    threshold: { count: 5, withinS: 300 },
    action: "slow-site",
    forS: 600,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.1 Too many connections from your IP 192.0.2.7, please slow down",
        "450 4.7.1 Too many messages from 192.0.2.7, please try again later",
      ],
      passes: ["450 4.1.2 <ann@icloud.com>: Recipient address rejected: Domain not found"],
    },
  },
];
