import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "comcast-listed",
    about: "Comcast finds this address on block lists",
    when: { provider: "comcast", pattern: String.raw`found on one or more DNSBLs|block for spam|#BL\d{6}` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554 resimta-po-15v.sys.comcast.net comcast 192.0.2.7 found on one or more DNSBLs, see http://postmaster.comcast.net/smtp-error-codes.php#BL000001",
        "554 resimta-po-15v.sys.comcast.net comcast 192.0.2.7 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000",
      ],
      passes: ["550 5.1.1 ann@comcast.net Account not available"],
    },
  },
  {
    id: "comcast-rate",
    about: "Comcast limits how much this address may send",
    when: { provider: "comcast", pattern: String.raw`#RL\d{6}|try again later.{0,40}rate limit` },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421 4.1.0 192.0.2.7 Throttled - try again later. Please see http://postmaster.comcast.net/smtp-error-codes.php#RL000010",
      ],
      passes: [
        "421 resimta-ch2-19v.sys.comcast.net resimta-ch2-19v.sys.comcast.net 192.0.2.7 Too many sessions opened",
      ],
    },
  },
  {
    id: "comcast-sessions",
    about: "Comcast has too many sessions of this address",
    when: { provider: "comcast", pattern: "too many sessions opened" },
    threshold: { count: 3, withinS: 300 },
    action: "slow-site",
    forS: 600,
    enabled: true,
    examples: {
      matches: [
        "421 resimta-ch2-19v.sys.comcast.net resimta-ch2-19v.sys.comcast.net 192.0.2.7 Too many sessions opened",
      ],
      passes: [
        "421 4.1.0 192.0.2.7 Throttled - try again later. Please see http://postmaster.comcast.net/smtp-error-codes.php#RL000010",
      ],
    },
  },
  {
    id: "comcast-reverse-dns",
    about: "Comcast refuses mail because the address has no reverse DNS",
    when: { provider: "comcast", pattern: String.raw`reverse dns|#PTR?\d{6}|has no PTR` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554 resimta-po-15v.sys.comcast.net comcast 192.0.2.7 No PTR. 192.0.2.7 has no PTR record, see http://postmaster.comcast.net/smtp-error-codes.php#PT000000",
      ],
      passes: [
        "554 resimta-po-15v.sys.comcast.net comcast 192.0.2.7 found on one or more DNSBLs, see http://postmaster.comcast.net/smtp-error-codes.php#BL000001",
      ],
    },
  },
];
