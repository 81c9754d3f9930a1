/**
 * Amazon SES by SendEmail of its API version 2, with the message as it is (`Content.Raw`). SES writes Message-ID and Date anew,
 * so our signatures leave them out, as its guide asks; reports go to our return path.
 */
import { wireName } from "@tyto/dns";
import type { Failed } from "../outcome.ts";
import type { Mail } from "../smtp.ts";
import { type Provider, requesting, type Taken } from "./provider.ts";
import { type Answer, asObject, post, refusal, replyOf } from "./request.ts";
import { type AwsCredentials, signRequest } from "./sigv4.ts";

export type SesSettings = {
  region: string;
  credentials: AwsCredentials;
  configurationSet?: string | undefined;
  /** `https://email.<region>.amazonaws.com` unless somebody has an endpoint of their own. */
  url: URL;
  atOnceMax: number;
};

const timeoutMs = 60_000;
const path = "/v2/email/outbound-emails";

/** Fields that SES writes itself, or that its guide on signing by hand forbids to sign. */
const rewrites = ["message-id", "date", "return-path", "bounces-to"];

export const ses = (settings: SesSettings, now: () => number): Provider =>
  requesting(
    { name: "ses", rewrites, keepsSignatures: true, keepsPromises: false },
    (mail) => deliver(settings, now, mail),
    settings.atOnceMax,
  );

async function deliver(settings: SesSettings, now: () => number, mail: Mail): Promise<Taken> {
  const { region, credentials, configurationSet, url } = settings;
  const body = JSON.stringify({
    Destination: { ToAddresses: [asciiDomain(mail.to)] },
    FeedbackForwardingEmailAddress: mail.from,
    Content: { Raw: { Data: Buffer.concat(mail.parts).toString("base64") } },
    ...(configurationSet === undefined ? {} : { ConfigurationSetName: configurationSet }),
  });
  const headers = signRequest(
    {
      method: "POST",
      host: url.host,
      path,
      headers: { "content-type": "application/json" },
      body,
      region,
      service: "ses",
      nowMs: now(),
    },
    credentials,
  );
  const answer = await post({ provider: "ses", url: new URL(path, url), headers, body, timeoutMs });
  return answer.kind === "failed" ? answer : outcomeOf(answer, credentials);
}

function outcomeOf(
  answer: Answer,
  { accessKeyId, secretAccessKey, sessionToken = "" }: AwsCredentials,
): Taken {
  const secrets = [secretAccessKey, sessionToken, accessKeyId];
  const { MessageId, message, Message } = asObject(answer.text);
  if (answer.status === 200) {
    const providerId = typeof MessageId === "string" ? MessageId.slice(0, 200) : undefined;
    return {
      kind: "accepted",
      reply: replyOf(200, `taken as ${providerId ?? "a message without an id"}`, secrets),
      conversation: { ...answer.conversation, ...(providerId === undefined ? {} : { providerId }) },
    };
  }
  // "TooManyRequestsException:http://internal.amazon.com/coral/..."
  const [type = ""] = (answer.header("x-amzn-errortype") ?? "").split(":");
  const words = [type, message ?? Message]
    .filter((text) => typeof text === "string" && text !== "")
    .join(": ");
  return refusal(answer, verdictOf(answer.status, type, words), replyOf(answer.status, words, secrets));
}

/**
 * Only what is about this message ends the attempts. Limits pass; what is wrong with the account or its credentials
 * waits for somebody to mend it.
 */
function verdictOf(status: number, type: string, words: string): Pick<Failed, "isPermanent" | "reason"> {
  if (status === 429 || /Throttl|TooManyRequests|LimitExceeded/.test(type))
    return { isPermanent: false, reason: "rate.limited" };
  if (status >= 500) return { isPermanent: false, reason: "receiver.busy" };
  if (type === "MessageRejected")
    // In the sandbox, and for a sender that SES does not know, it is a matter of the account.
    return /not verified/i.test(words)
      ? { isPermanent: false, reason: "sender.refused" }
      : { isPermanent: true, reason: "content.refused" };
  if (status === 413) return { isPermanent: true, reason: "content.too-large" };
  if (type === "BadRequestException" || type === "ValidationException")
    return { isPermanent: true, reason: "content.malformed" };
  return { isPermanent: false, reason: "local.trouble" };
}

/** SES wants domains as A-labels. */
const asciiDomain = (address: string) => {
  const at = address.lastIndexOf("@");
  return `${address.slice(0, at)}@${wireName(address.slice(at + 1))}`;
};
