import type { Address } from "@tyto/contracts";
import { wireName } from "@tyto/dns";
import type { Sent } from "../trouble.ts";

/** What a server announced in its reply to EHLO. */
export type Offers = {
  has(keyword: string): boolean;
  /** RFC 1870; 0 when it announced none. */
  sizeMax: number;
  /** Of AUTH (RFC 4954). */
  mechanisms: readonly string[];
};

/** Reads the lines behind the first of a reply to EHLO (RFC 5321 §4.1.1.1), without their codes. */
export function offersOf(lines: readonly string[]): Offers {
  const parameters = new Map(
    lines.map((line) => {
      const [keyword = "", ...rest] = line
        .trim()
        .toUpperCase()
        .split(/[\s=]+/);
      return [keyword, rest];
    }),
  );
  const size = parameters.get("SIZE")?.[0] ?? "";
  return {
    has: (keyword) => parameters.has(keyword),
    sizeMax: /^\d{1,15}$/.test(size) ? Number(size) : 0,
    mechanisms: parameters.get("AUTH") ?? [],
  };
}

/** What to send. `parts` are bytes with CRLF line ends, sent one behind the other. */
export type Mail = {
  envelopeId: string;
  from: Address;
  to: Address;
  parts: readonly Buffer[];
  has8Bit: boolean;
  /** The server must promise to encrypt on its own way too (RFC 8689): MAIL FROM with REQUIRETLS. */
  requireTls?: boolean;
};

export type Envelope = { mail: string; recipient: string };

/** The commands of the envelope, or why this server cannot take the message; then nothing is sent. */
export function envelopeOf(mail: Mail, bodyBytes: number, offers: Offers): Envelope | Sent {
  const from = wireAddress(mail.from);
  const to = wireAddress(mail.to);
  if (hasBreak(from) || hasBreak(to)) return unfit("protocol.error", "an address holds a control character");
  const isInternational = !isAscii(from) || !isAscii(to);
  // RFC 6531 §3.2: the raw address means nothing to a server that does not know the extension.
  if (isInternational && !offers.has("SMTPUTF8"))
    return unfit("address.needs-smtputf8", "the server does not offer SMTPUTF8 (RFC 6531)");
  // RFC 8689 §4.2.1: the message stays here rather than to travel without the promise.
  if (mail.requireTls === true && !offers.has("REQUIRETLS"))
    return unfit(
      "network.tls",
      "5.7.30 the message requires TLS all the way, and the server does not offer REQUIRETLS (RFC 8689)",
    );
  // RFC 1870 §6: an announced limit makes the message not worth sending.
  if (offers.sizeMax > 0 && bodyBytes > offers.sizeMax)
    return unfit(
      "content.too-large",
      `the message has ${bodyBytes} bytes, the server takes ${offers.sizeMax}`,
    );
  let parameters = "";
  if (isInternational) parameters += " SMTPUTF8";
  if (mail.has8Bit && offers.has("8BITMIME")) parameters += " BODY=8BITMIME";
  if (offers.has("SIZE")) parameters += ` SIZE=${bodyBytes}`;
  // RFC 3461: a report brings back the headers only, and our name for the delivery.
  if (offers.has("DSN")) parameters += ` RET=HDRS ENVID=${xtext(mail.envelopeId)}`;
  if (mail.requireTls === true) parameters += " REQUIRETLS";
  return { mail: `MAIL FROM:<${from}>${parameters}\r\n`, recipient: `RCPT TO:<${to}>\r\n` };
}

const unfit = (reason: Extract<Sent, { kind: "unfit" }>["reason"], explanation: string): Sent => ({
  kind: "unfit",
  reason,
  explanation,
});

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);
/** What would end the command or the path early. */
const hasBreak = (text: string) => /[\p{Cc}<>]/u.test(text);

/** The address with its domain in A-labels (RFC 5890), which every server understands. */
function wireAddress(address: string): string {
  if (isAscii(address)) return address;
  const at = address.lastIndexOf("@");
  return `${address.slice(0, at)}@${wireName(address.slice(at + 1))}`;
}

/** RFC 3461 §4: everything but printable ASCII without `+` and `=` as two hexadecimal digits. */
const xtext = (text: string) =>
  text.replace(/[^!-*,-<>-~]/g, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `+${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
