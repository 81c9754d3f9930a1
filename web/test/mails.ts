/** Mails as they are sent to us: a DMARC report (RFC 9990), a TLS report (RFC 8460), a letter by a person. */
import { gzipSync } from "node:zlib";

/** A field of a mail's header, unfolded. */
export const field = (mail: string, name: string): string =>
  new RegExp(`^${name}:((?:.*\\r?\\n[ \\t])*.*)`, "mi").exec(mail)?.[1]?.replace(/\s+/g, " ").trim() ?? "";

const daySeconds = 86_400;
const yesterday = () => Math.floor(Date.now() / 1_000 / daySeconds - 1) * daySeconds;

/** Five mails from 192.0.2.10 that passed, two from 203.0.113.66 that were refused. */
export function dmarcReport(domain: string): Uint8Array {
  const row = (ip: string, count: number, result: "pass" | "fail", disposition: string) =>
    `<record><row><source_ip>${ip}</source_ip><count>${count}</count><policy_evaluated>
<disposition>${disposition}</disposition><dkim>${result}</dkim><spf>${result}</spf></policy_evaluated></row>
<identifiers><header_from>${domain}</header_from></identifiers>
<auth_results><dkim><domain>${domain}</domain><result>${result}</result></dkim></auth_results></record>`;
  return gzipSync(`<?xml version="1.0"?>
<feedback><report_metadata><org_name>Provider</org_name><email>d@provider.test</email><report_id>r-1</report_id>
<date_range><begin>${yesterday()}</begin><end>${yesterday() + daySeconds - 1}</end></date_range></report_metadata>
<policy_published><domain>${domain}</domain><p>reject</p></policy_published>
${row("192.0.2.10", 5, "pass", "none")}${row("203.0.113.66", 2, "fail", "reject")}</feedback>`);
}

/** Nine connections that were encrypted, one that met an expired certificate. */
export function tlsReport(domain: string): Uint8Array {
  const at = (seconds: number) => new Date(seconds * 1_000).toISOString();
  const failure = {
    "result-type": "certificate-expired",
    "sending-mta-ip": "198.51.100.62",
    "receiving-mx-hostname": "mail.tyto.test",
    "failed-session-count": 1,
  };
  const report = {
    "organization-name": "Provider",
    "date-range": { "start-datetime": at(yesterday()), "end-datetime": at(yesterday() + daySeconds - 1) },
    "contact-info": "t@provider.test",
    "report-id": "t-1",
    policies: [
      {
        policy: { "policy-type": "no-policy-found", "policy-domain": domain },
        summary: { "total-successful-session-count": 9, "total-failure-session-count": 1 },
        "failure-details": [failure],
      },
    ],
  };
  return gzipSync(JSON.stringify(report));
}

/** The mail that carries a report about `domain` as a file. */
export const reportMail = (to: string, domain: string, kind: "dmarc" | "tls", file: Uint8Array): string =>
  [
    "From: d@provider.test",
    `To: ${to}`,
    `Message-ID: <${kind}.${file.length}@provider.test>`,
    `Subject: Report Domain: ${domain} Submitter: provider.test Report-ID: 1`,
    "MIME-Version: 1.0",
    `Content-Type: application/${kind === "dmarc" ? "gzip" : "tlsrpt+gzip"}; name="provider.test!${domain}!1!2.${kind === "dmarc" ? "xml" : "json"}.gz"`,
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(file).toString("base64").replace(/.{76}/g, "$&\n"),
    "",
  ].join("\n");

/** With plain text, HTML that wants too much, and a file. */
export const letter = (to: string): string => `From: Eve Adams <eve@else.test>
To: ${to}
Subject: The =?UTF-8?Q?gr=C3=BCne?= Lampe
Message-ID: <letter@else.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

Can the lamp be dimmed?
--inner
Content-Type: text/html

<h1>The green lamp</h1><script>parent.document.title = "taken"</script>
<form action="https://else.test/"><button>Sign in again</button></form><img src="https://else.test/pixel.png" alt="">
--inner--
--outer
Content-Type: text/csv; name=prices.csv
Content-Disposition: attachment

lamp,40
--outer--
`;
