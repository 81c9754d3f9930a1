import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "mail-ru-spam",
    about: "Mail.ru takes the message for spam",
    when: { provider: "mail.ru", pattern: "spam message (?:rejected|discarded)" },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: ["550 5.7.1 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc"],
      passes: [
        "550 Message was not accepted -- invalid mailbox. Local mailbox ann@mail.ru is unavailable: user not found",
      ],
    },
  },
  {
    id: "mail-ru-rate",
    about: "Mail.ru limits how much this address may send",
    when: {
      provider: "mail.ru",
      code: "4xx",
      pattern: "ratelimit|rate limit|try again later.{0,80}(?:limit|often)|too many",
    },
    threshold: { count: 3, withinS: 300 },
    action: "suspend-site",
    forS: 1800,
    enabled: true,
    examples: {
      matches: [
        "451 Ratelimit exceeded for mailbox news@example.com. Try again later. Please visit https://help.mail.ru",
        "421 Too many messages from 192.0.2.7",
      ],
      passes: ["451 4.3.0 Temporary failure, please come back later"],
    },
  },
  {
    id: "mail-ru-blocked",
    about: "Mail.ru blocks this address",
    when: {
      provider: "mail.ru",
      code: "5xx",
      pattern: String.raw`(?:ip|host) (?:address )?\S* ?(?:is )?(?:blocked|blacklisted)|access (?:from ip )?denied`,
    },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 5.7.1 IP address 192.0.2.7 is blocked. Please visit http://help.mail.ru/notspam-support",
        "550 Access from ip denied (rbl)",
      ],
      passes: ["550 5.7.1 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc"],
    },
  },
];
