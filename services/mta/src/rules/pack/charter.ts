import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "charter-blocked",
    about: "Spectrum blocks this address",
    when: { provider: "charter", pattern: String.raw`AUP#(?:In-)?1\d{3}|IP Blocked` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554 5.7.1 charter.net IP: 192.0.2.7 - A problem occurred. AUP#In-1310. See https://www.spectrum.net/support/internet/understanding-email-error-codes",
      ],
      passes: ["550 5.1.1 <ann@charter.net> recipient rejected - AUP#In-2010"],
    },
  },
];
