import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "proofpoint-reputation",
    about: "Proofpoint blocks this address by its dynamic reputation",
    when: { pattern: String.raw`ipcheck\.proofpoint\.com|proofpoint dynamic reputation` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.1 Blocked by Proofpoint Dynamic Reputation - https://ipcheck.proofpoint.com/?ip=192.0.2.7",
        "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7",
      ],
      passes: ["550 5.1.1 <ann@example.com>... User unknown [proofpoint]"],
    },
  },
];
