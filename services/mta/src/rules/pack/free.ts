import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "free-spam",
    about: "Free takes the message for spam",
    when: { provider: "free", pattern: "spam detected" },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: ["550 spam detected [free.fr]"],
      passes: ["421 Too many errors from your IP (192.0.2.7), please visit http://postmaster.free.fr/"],
    },
  },
  {
    id: "free-errors",
    about: "Free takes nothing from this address because of earlier errors",
    when: { provider: "free", pattern: "too many (?:errors|spams?) from your ip" },
    threshold: "immediate",
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "421 Too many errors from your IP (192.0.2.7), please visit http://postmaster.free.fr/",
        "421 Too many spams from your IP (192.0.2.7), please visit http://postmaster.free.fr/",
      ],
      passes: ["550 spam detected [free.fr]"],
    },
  },
];
