import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "att-blocked",
    about: "AT&T has this address on its block list",
    when: {
      provider: "att",
      pattern: String.raw`blocked for abuse|DNSBL:(?:RBL|ATTRBL)|see http\S+att\.net/blocks`,
    },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "553 5.3.0 alph761 DNSBL:RBL 521< 192.0.2.7 >_is_blocked.For assistance forward this error to abuse_rbl@abuse-att.net",
        "553 5.3.0 flpd589 DNSBL:ATTRBL 521< 192.0.2.7 >_is_blocked.  For information see https://att.net/blocks",
      ],
      passes: ["550 5.1.1 <ann@att.net>... User unknown"],
    },
  },
];
