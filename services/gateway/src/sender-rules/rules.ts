/**
 * What Gmail (support.google.com/a/answer/81126), Yahoo (senders.yahooinc.com/best-practices) and Microsoft (for Outlook.com)
 * ask of bulk mail, as far as it can be judged before sending. Aligned signatures and return paths are made so and need no
 * rule: the signing domain is the domain of `from`, and the return path is a name below it. Reverse DNS and TLS are matters of the
 * way out, which the mta knows.
 */
import type { Domain, DomainRecord, SendRequest } from "@tyto/contracts";

/** What does not change between a request and its repeat: problem and fix are told from it alone. */
export type Asked = { mail: SendRequest; domain: Domain; siteUrl: string };
/** `unpublished` is what the last look at DNS missed; absent where nobody has looked, which breaks no rule. */
export type Facts = Asked & { unpublished: DomainRecord["unpublished"] | undefined };

export type Rule = {
  id: string;
  /** Whose rule it is. */
  about: string;
  /** The place in the request, as in the `errors` of a problem. */
  path: string;
  isBroken(facts: Facts): boolean;
  problem(asked: Asked): string;
  fix(asked: Asked): string;
};

export const rules: readonly Rule[] = [
  {
    id: "dns.dkim",
    about: "Gmail, Yahoo and Microsoft take bulk mail only with a DKIM signature that verifies",
    path: "from",
    isBroken: ({ unpublished }) => unpublished?.includes("dkim") === true,
    problem: ({ domain }) => `DNS does not show the DKIM keys of ${domain}`,
    fix: published("DKIM"),
  },
  {
    id: "dns.spf",
    about: "Gmail, Yahoo and Microsoft take bulk mail only from addresses that SPF allows",
    path: "from",
    isBroken: ({ unpublished }) => unpublished?.includes("spf") === true,
    problem: ({ domain }) => `DNS does not show the SPF record of the return path of ${domain}`,
    fix: published("SPF"),
  },
  {
    id: "dns.dmarc",
    about: "Gmail, Yahoo and Microsoft want a DMARC policy, p=none at least, of who sends bulk mail",
    path: "from",
    isBroken: ({ unpublished }) => unpublished?.includes("dmarc") === true,
    problem: ({ domain }) => `DNS shows no DMARC policy for ${domain}`,
    fix: published("DMARC"),
  },
  {
    id: "unsubscribe.missing",
    about: "Gmail and Yahoo want one click to unsubscribe (RFC 8058) in every marketing message",
    path: "unsubscribe",
    isBroken: ({ mail }) => mail.unsubscribe !== true && ownHeader(mail, "list-unsubscribe") === undefined,
    problem: () => "nothing lets its recipients unsubscribe",
    fix: () =>
      'set "unsubscribe": true, or give List-Unsubscribe and List-Unsubscribe-Post headers of your own',
  },
  {
    id: "unsubscribe.one-click",
    about: "Gmail and Yahoo take an unsubscribe header for one click only in the form of RFC 8058 §3",
    path: "headers",
    isBroken: ({ mail }) => {
      const own = ownHeader(mail, "list-unsubscribe");
      return own !== undefined && !(hasHttps(own) && isOneClick(ownHeader(mail, "list-unsubscribe-post")));
    },
    problem: ({ mail }) =>
      hasHttps(ownHeader(mail, "list-unsubscribe") ?? "")
        ? "the List-Unsubscribe header comes without List-Unsubscribe-Post: List-Unsubscribe=One-Click"
        : "the List-Unsubscribe header names no https address",
    fix: () =>
      'send "List-Unsubscribe: <https://...>" with "List-Unsubscribe-Post: List-Unsubscribe=One-Click", or take the header out and set "unsubscribe": true',
  },
  {
    id: "unsubscribe.https",
    about: "one click to unsubscribe works over https only (RFC 8058 §3.1), which Gmail and Yahoo insist on",
    path: "unsubscribe",
    isBroken: ({ mail, siteUrl }) =>
      mail.unsubscribe === true &&
      ownHeader(mail, "list-unsubscribe") === undefined &&
      !siteUrl.startsWith("https://"),
    problem: ({ siteUrl }) => `unsubscribe links would lead to ${siteUrl}, which is not https`,
    fix: () =>
      "have the installation's operator serve the dashboard over https and set SITE_URL to that address",
  },
];

/** The value of a header that the request brings itself. */
export function ownHeader({ headers = {} }: SendRequest, name: string): string | undefined {
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

const hasHttps = (value: string) => /<https:\/\/[^<>\s]+>/i.test(value);
const isOneClick = (value: string | undefined) => /^\s*List-Unsubscribe=One-Click\s*$/i.test(value ?? "");

function published(what: string) {
  return ({ domain }: Asked) =>
    `publish the ${what} records of GET /v1/domains/${domain}, then POST /v1/domains/${domain}/check`;
}
