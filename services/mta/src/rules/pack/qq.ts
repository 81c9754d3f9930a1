import type { ShippedRule } from "../rule.ts";

export const rules: readonly ShippedRule[] = [
  {
    id: "qq-frequency",
    about: "QQ limits how often this address, domain or sender may send",
    when: { provider: "qq", pattern: "(?:ip|domain|sender|connection) frequency limited" },
    threshold: "immediate",
    action: "suspend-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550 Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725",
        "550 Domain frequency limited [abc]. https://open.work.weixin.qq.com/help?doc_id=21037",
      ],
      passes: [
        "550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728",
      ],
    },
  },
  {
    id: "qq-content",
    about: "QQ refuses the message for its content",
    when: {
      provider: "qq",
      pattern: "mail content denied|mail is rejected by recipients|suspected (?:spam|bounce)",
    },
    threshold: { count: 10, withinS: 900 },
    action: "hold-campaign-at-site",
    forS: 3600,
    enabled: true,
    examples: {
      matches: [
        "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726",
      ],
      passes: [
        "550 Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725",
      ],
    },
  },
  {
    id: "qq-connection-denied",
    about: "QQ takes no connections from this address",
    when: { provider: "qq", pattern: "connection denied|ip (?:address )?(?:is )?(?:blocked|denied)" },
    threshold: { count: 2, withinS: 600 },
    action: "suspend-site",
    forS: 7200,
    enabled: true,
    examples: {
      matches: [
        "550 Connection denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000722",
      ],
      passes: [
        "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726",
      ],
    },
  },
];
