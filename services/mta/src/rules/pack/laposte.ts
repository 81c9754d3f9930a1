import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "laposte-slow-down",
    about: "La Poste wants fewer messages or connections",
    when: { provider: "laposte", code: "4xx", pattern: String.raw`LPN\d{3}_\d{3}|too many|service refus` },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "421 4.7.0 mlpnf0115 LPNAPM Trop de connexions. Too many connections. LPN004_101",
        "421 service refuse, veuillez essayer plus tard. LPN007_510",
      ],
      passes: ["550 5.1.1 ann@laposte.net Utilisateur inconnu"],
    },
  },
];
