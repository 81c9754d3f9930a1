import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "libero-blocked",
    about: "Libero takes no mail from this address because of its reputation",
    when: { provider: "libero", pattern: String.raw`\[?LIB_\d+\]?|bad reputation|blacklist` },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.1 smtp-33.iol.local smtp-33.iol.local IP blacklisted by CSI. For remove, https://csi.cloudmark.com/reset-request/?ip=192.0.2.7 [smtp-33.iol.local; LIB_102]",
      ],
      passes: ["550 RCPT TO:<ann@libero.it> User unknown"],
    },
  },
];
