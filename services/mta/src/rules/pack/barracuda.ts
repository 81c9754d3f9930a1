import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "barracuda-reputation",
    about: "Barracuda blocks this address by its reputation",
    when: {
      pattern: String.raw`barracuda ?(?:central|reputation)|barracudanetworks\.com/reputation|b\.barracudacentral\.org`,
    },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "554 Service unavailable; Client host [mail.example.com] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.7",
      ],
      passes: ["550 permanent failure for one or more recipients (ann@example.com:550 5.1.1 User Unknown)"],
    },
  },
];
