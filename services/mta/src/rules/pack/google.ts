import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "google-unsolicited-rate",
    about: "Gmail limits this address because of unsolicited mail",
    when: { provider: "google", enhanced: "4.7.28" },
    threshold: { count: 5, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\r\n421-4.7.28 from your IP address. To protect our users from spam, mail sent from\r\n421 4.7.28 your IP address has been temporarily rate limited.",
      ],
      passes: [
        "450-4.2.1 The user you are trying to contact is receiving mail at a rate that\r\n450 4.2.1 prevents additional messages from being delivered.",
        "421 4.7.0 Try again later, closing connection. (EHLO) - gsmtp",
      ],
    },
  },
  {
    id: "google-ip-identity",
    about: "Gmail puts mail off because the address has no matching reverse DNS",
    when: { provider: "google", enhanced: "4.7.23" },
    threshold: { count: 3, withinS: 600 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "421-4.7.23 The IP address sending this message does not have a PTR record, or\r\n421-4.7.23 the PTR record's forward DNS entry does not match the sending IP address.\r\n421 4.7.23 To protect users from spam, your email has been temporarily rate limited. - gsmtp",
      ],
      passes: [
        "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\r\n421 4.7.28 from your IP address.",
      ],
    },
  },
  {
    id: "google-tls-required",
    about: "Gmail puts mail off because it did not come over TLS",
    when: { provider: "google", enhanced: "4.7.29" },
    threshold: { count: 3, withinS: 600 },
    action: "suspend-site",
    forS: 2700,
    enabled: true,
    examples: {
      matches: [
        "421-4.7.29 Your email has been rate limited because this message wasn't sent over\r\n421 4.7.29 a TLS connection. Gmail requires all bulk email senders to use TLS. - gsmtp",
      ],
      passes: ["421 4.7.0 TLS is not available - gsmtp"],
    },
  },
  {
    id: "google-unauthenticated",
    about: "Gmail puts mail off or refuses it because SPF and DKIM do not pass",
    when: {
      provider: "google",
      pattern: String.raw`sender is unauthenticated|fails to pass authentication checks|unauthenticated email from \S+ is not accepted`,
    },
    threshold: { count: 20, withinS: 900 },
    action: "hold-organization-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\r\n550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.",
        "421-4.7.0 This message does not have authentication information or fails to pass\r\n421 4.7.0 authentication checks. To best protect our users from spam, the message has been blocked.",
        "550-5.7.26 Unauthenticated email from example.com is not accepted due to\r\n550 5.7.26 domain's DMARC policy.",
      ],
      passes: [
        "550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 Please try double-checking the recipient's email address",
        "550-5.7.25 [192.0.2.7] The IP address sending this message does not have a\r\n550 5.7.25 PTR record setup",
      ],
    },
  },
  {
    id: "google-ip-reputation",
    about: "Gmail blocks mail because of the reputation of this address",
    when: { provider: "google", code: "5xx", pattern: "very low reputation of the sending IP" },
    threshold: { count: 5, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550-5.7.1 [192.0.2.7      19] Our system has detected that this message is\r\n550-5.7.1 likely suspicious due to the very low reputation of the sending IP\r\n550 5.7.1 address. To best protect our users from spam, the message has been blocked. - gsmtp",
      ],
      passes: [
        "550-5.7.1 [192.0.2.7] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain.",
        "552-5.7.0 This message was blocked because its content presents a potential\r\n552 5.7.0 security issue.",
      ],
    },
  },
  {
    id: "google-domain-reputation",
    about: "Gmail blocks mail because of the reputation of the sender's domain",
    when: { provider: "google", code: "5xx", pattern: "very low reputation of the sending domain" },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550-5.7.1 [192.0.2.7] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain. To best protect our users from spam, the message has been blocked. - gsmtp",
      ],
      passes: [
        "550-5.7.1 [192.0.2.7      19] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address.",
      ],
    },
  },
  {
    id: "google-unsolicited-content",
    about: "Gmail takes the message for unsolicited mail",
    when: { provider: "google", code: "5xx", pattern: "likely unsolicited mail|UnsolicitedMessageError" },
    threshold: { count: 20, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550-5.7.1 [192.0.2.7      12] Our system has detected that this message is\r\n550-5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail,\r\n550 5.7.1 this message has been blocked.",
      ],
      passes: [
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.",
      ],
    },
  },
  {
    id: "google-no-reverse-dns",
    about: "Gmail refuses mail because the address has no matching reverse DNS",
    when: { provider: "google", enhanced: "5.7.25" },
    threshold: { count: 3, withinS: 600 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550-5.7.25 [192.0.2.7] The IP address sending this message does not have a\r\n550-5.7.25 PTR record setup, or the corresponding forward DNS entry does not\r\n550 5.7.25 match the sending IP.",
      ],
      passes: ["550 5.7.26 This mail has been blocked because the sender is unauthenticated."],
    },
  },
];
