import type { Rule } from "./rule.ts";

/** The mailbox exists, and its owner or operator switched it off. */
export const mailboxDisabled: Rule = {
  reason: "mailbox.disabled",
  statuses: ["2.1"],
  sure: [
    /\b(mailbox|account|user|recipient|address|email account)( \S{1,100}| that you tried to reach)? (is |has been |was )?(currently |temporarily )?(disabled|deactivated|inactive|suspended|blocked|locked|closed|terminated|discontinued|expired)\b/,
    /\b(inactive|disabled|suspended|deactivated|discontinued|expired) (user|mailbox|account|recipient|address)\b/,
    /\b(mailbox|account) (is )?(not active|no longer (active|in use|available|valid)|inactive)\b/,
    /\b(user|recipient|mailbox|account) (is )?not (currently )?(active|accepting (mail|messages)(?! from))\b/,
    /\baccount (that you tried to reach )?is (disabled|over its inactivity)\b/,
    /\bdelivery (to|for) this (user|recipient|mailbox) is (disabled|suspended)\b/,
    /\bmailbox has been (disabled|suspended) due to inactivity\b|\bnot been used (for|in) (a )?(long|some) time\b/,
    /\b(postfach|konto|mailbox) .{0,40}(gesperrt|deaktiviert)/,
    /\b(account|mailbox|user|recipient|address|subscriber|service|email)( \S{1,100})? (has been |is |was )?(temporarily |currently |permanently |administratively )?(limited|frozen|barred|on hold|put on hold|archived|dormant|deactivated|disabled|suspended|terminated|blocked|inactivated|hibernat\w{1,4})\b(?!.{0,20}\b(list|ip)\b)/,
    /\bunavailable: user is (terminated|blocked|suspended)|\b(over its inactivity|inactivity limit|inactive for|not been (accessed|used) (for|since))\b|\bno longer accept(s|ing) (e-?)?mail\b|\bnot (currently )?accepting (e-?)?(mail|messages)\b(?! from)|\bis not accepting any mail\b/,
    /\b(deactivated|frozen|locked|archived|blocked|dormant|expired) (mailbox|account|user|recipient)\b|\b(invalid|unknown)\/inactive user\b|\brecipient suspend the service\b|\btemporar(y|ily) (locked|inactive)\b.{0,30}|\bmail(box)? (receiving )?disabled\b/,
    /\b(konto|postfach|benutzer).{0,40}(deaktiviert|gesperrt|stillgelegt|abgeschaltet)|\b(compte|boite|boîte).{0,40}(désactiv|suspendu|archiv|bloqu)|\b(cuenta|conta|casella|buz[oó]n).{0,40}(desactivad|suspendid|bloquead|disabilitat|sospes|inativ)|(заблокирован|отключен)|(账号|用户|邮箱).{0,6}(停用|冻结|禁用)/,
  ],
  likely: [/\buser (has )?(left|resigned)\b/],
};
