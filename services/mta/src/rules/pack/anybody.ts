import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "too-many-connections",
    about: "The receiver has too many connections of this address",
    when: { code: "4xx", pattern: "too many (?:concurrent |simultaneous |smtp )*(?:connections|sessions)" },
    threshold: { count: 3, withinS: 300 },
    action: "slow-site",
    forS: 300,
    enabled: true,
    examples: {
      matches: [
        "421 Too many concurrent SMTP connections; please try again later.",
        "421 4.7.0 mx.example.net Error: too many connections from 192.0.2.7",
      ],
      passes: ["452 4.5.3 Too many recipients"],
    },
  },
  {
    id: "no-reverse-dns",
    about: "The receiver puts everything off because the address has no reverse DNS",
    when: {
      pattern: "cannot find your (?:reverse )?hostname|has no reverse DNS|reverse DNS entry does not resolve",
    },
    threshold: { count: 3, withinS: 900 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.7]",
        "550 Rejected because 192.0.2.7 has no reverse DNS",
      ],
      passes: ["450 4.7.1 <mail.example.com>: Helo command rejected: Host not found"],
    },
  },
  {
    id: "helo-refused",
    about: "The receiver refuses the name that we say in EHLO",
    when: { pattern: "helo command rejected|bad HELO|invalid HELO" },
    threshold: { count: 3, withinS: 900 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "450 4.7.1 <mail.example.com>: Helo command rejected: Host not found",
        "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
      ],
      passes: ["450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.7]"],
    },
  },
  {
    id: "sender-domain-unknown",
    about: "The receiver cannot find the sender's domain",
    when: {
      pattern: String.raw`sender address rejected: domain not found|sender verify failed|domain of sender address \S+ does not (?:exist|resolve)`,
    },
    threshold: { count: 20, withinS: 900 },
    action: "hold-organization",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "450 4.1.8 <news@example.com>: Sender address rejected: Domain not found",
        "550-Callback setup failed while verifying <news@example.com>\r\n550 Sender verify failed",
      ],
      passes: ["450 4.1.2 <ann@icloud.com>: Recipient address rejected: Domain not found"],
    },
  },
  {
    id: "deferred-for-good",
    about: "The receiver says that trying again will not help",
    when: {
      code: "4xx",
      pattern: "permanently deferred|retrying will not succeed|do not (?:retry|try again)",
    },
    threshold: "immediate",
    action: "bounce",
    forS: 3600,
    enabled: false,
    examples: {
      matches: [
        "421 4.7.1 [TS03] All messages from 192.0.2.7 will be permanently deferred; Retrying will NOT succeed.",
        "451 4.7.1 Message refused, do not retry",
      ],
      passes: ["451 4.7.1 Greylisted, please try again in 300 seconds"],
    },
  },
];
