import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "orange-spammy-ip",
    about: "Orange takes no mail from this address because of its reputation",
    when: { provider: "orange", pattern: "spammy IP|OFR_?(?:506|519|998|999)" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 5.2.0 Message rejected - Mail from spammy IP. http://postmaster.orange.fr OFR_506 [506]",
        "550 5.7.1 Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]",
      ],
      passes: ["550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR204_418 [418]"],
    },
  },
  {
    id: "orange-connections",
    about: "Orange has too many connections of this address",
    when: { provider: "orange", pattern: "OFR004_104|trop de connexions" },
    threshold: { count: 2, withinS: 300 },
    action: "slow-site",
    forS: 900,
    enabled: true,
    examples: {
      matches: [
        "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]",
      ],
      passes: ["550 5.2.0 Message rejected - Mail from spammy IP. http://postmaster.orange.fr OFR_506 [506]"],
    },
  },
  {
    id: "orange-rate",
    about: "Orange limits how much this address may send",
    when: { provider: "orange", pattern: "OFR005?_10[1235]|OFR004_10[235]|trop de messages" },
    threshold: { count: 2, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.1 mwinf5c20 ME Trop de messages envoyes. Too many messages, slow down. OFR005_102 [102]",
      ],
      passes: [
        "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. OFR004_104 [104]",
      ],
    },
  },
];
