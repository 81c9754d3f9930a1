import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "mimecast-reputation",
    about: "Mimecast blocks this address by its reputation",
    when: { pattern: String.raw`mimecast\S* poor reputation sender|csi\.mimecast\.org` },
    threshold: { count: 2, withinS: 900 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs/DOC-1369#550 [abc.uk123]",
      ],
      passes: ["550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [XyZ.de12]"],
    },
  },
  {
    id: "mimecast-greylist-storm",
    about: "Mimecast has no room for more now",
    when: {
      provider: "mimecast",
      code: "4xx",
      pattern: "internal resource(?:s are)? temporarily unavailable|too many connections",
    },
    threshold: { count: 10, withinS: 300 },
    action: "slow-site",
    forS: 600,
    enabled: true,
    examples: {
      matches: [
        "451 Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 [abc.us9]",
      ],
      passes: [
        "550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550 [abc.us22]",
      ],
    },
  },
];
