import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "yandex-spam",
    about: "Yandex takes the message for spam",
    when: { provider: "yandex", pattern: "under suspicion of spam" },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: ["554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1700000000-abc"],
      passes: ["552 5.2.2 Mailbox size limit exceeded 1700000000-abc"],
    },
  },
  {
    id: "yandex-rate",
    about: "Yandex limits how much this address may send",
    when: {
      provider: "yandex",
      code: "4xx",
      pattern: "service is currently unavailable|too many (?:messages|connections)|try again later",
    },
    threshold: { count: 5, withinS: 300 },
    action: "suspend-site",
    forS: 1200,
    enabled: true,
    examples: {
      matches: [
        "451 4.7.1 Sorry, the service is currently unavailable. Please come back later. 1700000000-abc",
      ],
      passes: ["452 4.2.2 Mailbox size limit exceeded"],
    },
  },
];
