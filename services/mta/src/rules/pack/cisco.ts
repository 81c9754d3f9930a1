import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "cisco-reputation",
    about: "Cisco Talos gives this address a poor reputation",
    when: { pattern: String.raw`sending MTA's poor reputation|senderbase\.org|talosintelligence\.com` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.",
      ],
      passes: ["550 #5.1.0 Address rejected."],
    },
  },
  {
    id: "cisco-hourly",
    about: "A Cisco gateway takes no more recipients this hour",
    when: { pattern: "too many recipients received this hour" },
    threshold: { count: 2, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: ["452 #4.x.x Too many recipients received this hour"],
      passes: ["550 #5.7.1 Your access to submit messages to this e-mail system has been rejected."],
    },
  },
];
