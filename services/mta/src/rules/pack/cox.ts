import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "cox-blocked",
    about: "Cox blocks this address",
    when: { provider: "cox", pattern: "CXBL|CXDNS|CXSNDR" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554 cxr.east.cox.net cox 192.0.2.7 blocked. Error Code: CXBL. Refer to Error Codes section at https://postmaster.cox.net for more information.",
      ],
      passes: ["421 cxr.east.cox.net cox too many sessions from 192.0.2.7. Error Code: CXCNCT"],
    },
  },
  {
    id: "cox-connections",
    about: "Cox has too many connections of this address",
    when: { provider: "cox", pattern: "CXCNCT|CXMXRT|too many sessions" },
    threshold: { count: 3, withinS: 300 },
    action: "slow-site",
    forS: 900,
    enabled: true,
    examples: {
      matches: ["421 cxr.east.cox.net cox too many sessions from 192.0.2.7. Error Code: CXCNCT"],
      passes: ["554 cxr.east.cox.net cox 192.0.2.7 blocked. Error Code: CXBL."],
    },
  },
];
