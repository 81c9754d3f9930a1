import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "t-online-unknown-ip",
    about: "T-Online takes nothing from an address that it does not know or trust",
    when: {
      provider: "t-online",
      pattern: String.raw`IP=\S+ - (?:a problem occurred|none/bad reputation|dialup)|tosa@rx\.t-online\.de`,
    },
    threshold: "immediate",
    action: "suspend-site",
    forS: 14400,
    enabled: true,
    examples: {
      matches: [
        "554 IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)",
        "554 IP=192.0.2.7 - None/bad reputation. Ask your postmaster for help or to contact tobr@rx.t-online.de for reset. (NOWL)",
      ],
      passes: ["550 5.1.1 <ann@t-online.de> User unknown"],
    },
  },
  {
    id: "t-online-connections",
    about: "T-Online has too many connections of this address",
    when: {
      provider: "t-online",
      code: "4xx",
      pattern: "too many (?:concurrent )?connections|please (?:try|slow)",
    },
    threshold: { count: 3, withinS: 300 },
    action: "slow-site",
    forS: 600,
    enabled: true,
    examples: {
      matches: ["421 4.7.0 mailin00.mgt.mul.t-online.de: Too many connections from 192.0.2.7"],
      passes: ["452 4.2.2 Mailbox full"],
    },
  },
];
