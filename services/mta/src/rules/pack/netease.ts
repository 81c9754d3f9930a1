import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "netease-spam",
    about: "NetEase takes the message for spam",
    when: { provider: "netease", pattern: String.raw`\bDT:SPM|\bDT:SUM` },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "554 DT:SPM 163 mx23, U8CowECpPz, please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
      ],
      passes: ["550 User not found: ann@163.com"],
    },
  },
  {
    id: "netease-frequency",
    about: "NetEase limits how often this address may send",
    when: {
      provider: "netease",
      pattern: String.raw`\b(?:RP:CEL|RP:QRC|RP:RCL|IP:CEL|MI:CEL|RP:FRL)\b|\bFROM:CEL|too frequent`,
    },
    threshold: { count: 2, withinS: 300 },
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "450 RP:CEL 163 mx12,U8CowECpPz, please see http://mail.163.com/help/help_spam_16.htm",
        "550 MI:CEL 163 mx2,W8CowECpPz",
      ],
      passes: [
        "554 DT:SPM 163 mx23, U8CowECpPz, please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
      ],
    },
  },
];
