import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "yahoo-ts03",
    about: "Yahoo puts off everything from this address for good",
    when: { provider: "yahoo", pattern: String.raw`\[TS03\]` },
    threshold: "immediate",
    action: "suspend-site",
    forS: 21600,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.1 [TS03] All messages from 192.0.2.7 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
      ],
      passes: [
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
      ],
    },
  },
  {
    id: "yahoo-tss04",
    about: "Yahoo puts mail off because of volume or complaints",
    when: { provider: "yahoo", pattern: String.raw`\[TSS?04\]` },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
        "421 4.7.0 [TS04] Messages from 192.0.2.7 temporarily deferred",
      ],
      passes: ["421 4.7.1 [TS03] All messages from 192.0.2.7 will be permanently deferred"],
    },
  },
  {
    id: "yahoo-ts01",
    about: "Yahoo limits this address because of complaints",
    when: { provider: "yahoo", pattern: String.raw`\[TSS?0[12]\]` },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.0 [TS01] Messages from 192.0.2.7 temporarily deferred due to user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
        "421 4.7.0 [TSS02] Messages from 192.0.2.7 temporarily deferred",
      ],
      passes: ["421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume"],
    },
  },
  {
    id: "yahoo-blocked",
    about: "Yahoo takes no connections from this address, which is on a block list",
    when: { provider: "yahoo", pattern: String.raw`\[BL\d\d\]|connections will not be accepted from` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html",
      ],
      passes: [
        "554 Message not allowed - [PH01] Email not accepted for policy reasons. Please visit https://postmaster.yahooinc.com/error-codes [120]",
      ],
    },
  },
  {
    id: "yahoo-tss09",
    about: "Yahoo refuses everything from this address for good",
    when: { provider: "yahoo", code: "5xx", pattern: String.raw`\[TSS(0[6-9]|[1-9]\d)\]` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 21600,
    enabled: true,
    examples: {
      matches: [
        "553 5.7.2 [TSS09] All messages from 192.0.2.7 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
      ],
      passes: [
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in Spamhaus's list",
      ],
    },
  },
  {
    id: "yahoo-phishing",
    about: "Yahoo takes the message for phishing",
    when: { provider: "yahoo", pattern: String.raw`\[PH01\]` },
    threshold: { count: 2, withinS: 900 },
    // Phishing is so wherever it goes.
    action: "hold-campaign",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554 Message not allowed - [PH01] Email not accepted for policy reasons. Please visit https://postmaster.yahooinc.com/error-codes [120]",
      ],
      passes: [
        "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes",
      ],
    },
  },
  {
    id: "yahoo-policy",
    about: "Yahoo refuses mail for reasons of policy: authentication, content or links",
    when: {
      provider: "yahoo",
      code: "5xx",
      pattern: "message not accepted for policy reasons|the sender is unauthenticated",
    },
    threshold: { count: 20, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes",
        "550 5.7.9 This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.",
      ],
      passes: [
        "554 delivery error: dd This user doesn't have a yahoo.com account (ann@yahoo.com) [0] - mta1234.mail.ne1.yahoo.com",
      ],
    },
  },
  {
    id: "yahoo-resources",
    about: "Yahoo has no resources for more from this address now",
    when: {
      provider: "yahoo",
      pattern: String.raw`resources temporarily unavailable|too many connections|4\.16\.\d`,
    },
    threshold: { count: 5, withinS: 300 },
    action: "slow-site",
    forS: 300,
    enabled: true,
    examples: {
      matches: [
        "451 Resources temporarily unavailable. Please try again later [#4.16.1].",
        "421 Too many connections from 192.0.2.7",
      ],
      passes: ["451 4.3.2 Internal error reading data"],
    },
  },
];
