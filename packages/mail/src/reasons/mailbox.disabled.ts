import type { Rule } from "./rule.ts";

/** The mailbox exists, and its owner or operator switched it off. */
export const mailboxDisabled: Rule = {
  reason: "mailbox.disabled",
  statuses: ["2.1"],
  sure: [
    /\b(mailbox|account|user|recipient|address|email account)( \S{1,100}| that you tried to reach)? (is |has been |was )?(currently |temporarily )?(disabled|deactivated|inactive|suspended|blocked|locked|closed|terminated|discontinued|expired)\b/,
    /\b(inactive|disabled|suspended|deactivated|discontinued|expired) (user|mailbox|account|recipient|address)\b/,
    /\b(mailbox|account) (is )?(not active|no longer (active|in use|available|valid)|inactive)\b/,
    /\b(user|recipient|mailbox|account) (is )?not (currently )?(active|accepting (mail|messages))\b/,
    /\baccount (that you tried to reach )?is (disabled|over its inactivity)\b/,
    /\bdelivery (to|for) this (user|recipient|mailbox) is (disabled|suspended)\b/,
    /\bmailbox has been (disabled|suspended) due to inactivity\b|\bnot been used (for|in) (a )?(long|some) time\b/,
    /\b(postfach|konto|mailbox) .{0,40}(gesperrt|deaktiviert)/,
  ],
  likely: [/\buser (has )?(left|resigned)\b/],
};
