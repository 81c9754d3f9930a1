/**
 * Resend by its HTTP API, which takes fields and composes the message itself. What our message has beyond them is lost: its
 * DKIM signatures, the return path (Resend's own gets the reports), the order and nesting of its parts, and the other
 * recipients' names in To and Cc, because each recipient is a request of its own.
 */
import { wireName } from "@tyto/dns";
import PostalMime, { type Email, type Address as ParsedAddress } from "postal-mime";
import type { Failed } from "../outcome.ts";
import type { Mail } from "../smtp.ts";
import { type Provider, requesting, type Taken } from "./provider.ts";
import { type Answer, asObject, post, refusal, replyOf, retryHint } from "./request.ts";

export type ResendSettings = {
  apiKey: string;
  /** `https://api.resend.com` */
  url: URL;
  atOnceMax: number;
};

const timeoutMs = 60_000;

export const resend = (settings: ResendSettings): Provider =>
  requesting(
    { name: "resend", rewrites: [], keepsSignatures: false, keepsPromises: false },
    (mail) => deliver(settings, mail),
    settings.atOnceMax,
  );

async function deliver({ apiKey, url }: ResendSettings, mail: Mail): Promise<Taken> {
  const answer = await post({
    provider: "resend",
    url: new URL("/emails", url),
    headers: {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      // The same for all attempts of a delivery: an attempt whose answer was lost is answered again, not sent again.
      // Resend remembers it for 24 hours.
      "idempotency-key": mail.envelopeId,
    },
    body: JSON.stringify(fieldsOf(await PostalMime.parse(Buffer.concat(mail.parts)), mail.to)),
    timeoutMs,
  });
  return answer.kind === "failed" ? answer : outcomeOf(answer, apiKey);
}

/** Fields that Resend writes from others, or that our message has for our own way only. */
const notHeaders = new Set([
  "from",
  "to",
  "cc",
  "bcc",
  "reply-to",
  "subject",
  "date",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "dkim-signature",
  "return-path",
  "received",
]);

/** The message in Resend's fields, for one recipient. */
export function fieldsOf(email: Email, recipient: string): Record<string, unknown> {
  const to = [...(email.to ?? []), ...(email.cc ?? [])].find(
    ({ address }) => address?.toLowerCase() === recipient.toLowerCase(),
  );
  const headers = Object.fromEntries(
    email.headers
      .filter(({ key }) => !notHeaders.has(key))
      .map(({ key, originalKey, value }) => [originalKey || key, value]),
  );
  const replyTo = (email.replyTo ?? []).map(mailbox);
  return {
    from: email.from === undefined ? "" : mailbox(email.from),
    to: [mailbox(to ?? { name: "", address: recipient })],
    subject: email.subject ?? "",
    ...(replyTo.length === 0 ? {} : { reply_to: replyTo }),
    ...(email.html === undefined ? {} : { html: email.html }),
    ...(email.text === undefined ? {} : { text: email.text }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(email.attachments.length === 0
      ? {}
      : {
          attachments: email.attachments.map(({ filename, mimeType, content, contentId }) => ({
            filename: filename ?? "attachment",
            content: Buffer.from(content as ArrayBuffer).toString("base64"),
            content_type: mimeType,
            ...(contentId === undefined ? {} : { content_id: contentId.replace(/^<|>$/g, "") }),
          })),
        }),
  };
}

function mailbox({ name, address = "" }: ParsedAddress): string {
  const at = address.lastIndexOf("@");
  const wired = at < 0 ? address : `${address.slice(0, at)}@${wireName(address.slice(at + 1))}`;
  return name === "" ? wired : `"${name.replace(/["\\]/g, "\\$&")}" <${wired}>`;
}

function outcomeOf(answer: Answer, apiKey: string): Taken {
  const { id, name, message } = asObject(answer.text);
  const secrets = [apiKey];
  if (answer.status === 200 || answer.status === 201) {
    const providerId = typeof id === "string" ? id.slice(0, 200) : undefined;
    return {
      kind: "accepted",
      reply: replyOf(200, `taken as ${providerId ?? "a message without an id"}`, secrets),
      conversation: { ...answer.conversation, ...(providerId === undefined ? {} : { providerId }) },
    };
  }
  const words = [name, message].filter((text) => typeof text === "string" && text !== "").join(": ");
  const hint = answer.status === 429 ? retryHint(answer.header("retry-after")) : "";
  return refusal(
    answer,
    verdictOf(answer.status, String(name), words),
    replyOf(answer.status, `${words}${hint}`, secrets),
  );
}

/**
 * Only what is about this message ends the attempts; keys and domains that Resend does not know wait for somebody to mend
 * them. 409 says that a request with this key is under way, or was taken with other content: either way the message
 * may have left.
 */
function verdictOf(
  status: number,
  name: string,
  words: string,
): Pick<Failed, "isPermanent" | "reason" | "isInDoubt"> {
  const verdict = (isPermanent: boolean, reason: Failed["reason"], isInDoubt = false) => ({
    isPermanent,
    reason,
    isInDoubt,
  });
  if (status === 429) return verdict(false, "rate.limited");
  if (status >= 500) return verdict(false, "receiver.busy");
  if (status === 409) return verdict(false, "receiver.busy", true);
  if (status === 413) return verdict(true, "content.too-large");
  if (/not verified|verify a domain|invalid_from/i.test(`${name} ${words}`))
    return verdict(false, "sender.refused");
  if (status === 400 || status === 422) return verdict(true, "content.malformed");
  return verdict(false, "local.trouble");
}
