/** What comes back of mail that a server had taken: complaints, and reports of mailboxes that were not there after all. */
import { type Bus, type Consumption, done, retry } from "@tyto/bus";
import {
  heardMax,
  isProvider,
  type Origin,
  type Payload,
  providerOf,
  type Reason,
  reasons,
  unknownRecipient,
} from "@tyto/contracts";

export type Feedback = { complained: Payload<"mail.complained"> } | { bounced: Payload<"mail.bounced"> };

/** What a report says about whoever sent the message. */
export type Report = {
  /** Of the complaint or of the delivery that bounced, shortened: what is told twice counts once. */
  id: string;
  kind: "bounced" | "complained";
  organizationId: Payload<"mail.complained">["organizationId"];
  messageId: string;
  /** By which way the message left, where its return path was left in the report. */
  origin?: Origin;
  /** The address that it came from, as the reporter says. */
  sourceIp?: string;
  /** Where the recipient's mail is, where that is a provider with a name. */
  provider?: string;
};

/** Below this a report's reason is a guess, which must stop nobody. */
const confidenceMin = 0.5;
const againMs = 5_000;

/** An address that does not exist is the sender's to know. */
export const isSendersDoing = (reason: Reason | undefined): boolean =>
  reason !== undefined && reasons[reason].hard && reasons[reason].fault === "recipient";

/** What speaks against whoever sent the message; `undefined` for everything else. */
export function reportOf(feedback: Feedback): Report | undefined {
  if ("complained" in feedback) {
    const { complained } = feedback;
    if (complained.feedback === "not-spam" || complained.feedback === "opt-out") return undefined;
    const { claimedRecipient, reporter, sourceIp } = complained;
    const provider = known(reporter === undefined ? undefined : providerOf(`@${reporter}`, reporter));
    return {
      ...aboutMessage(complained, "complained"),
      ...(sourceIp === undefined ? {} : { sourceIp }),
      ...(provider ?? (claimedRecipient === undefined ? {} : known(providerOf(claimedRecipient)))),
    };
  }
  const { bounced } = feedback;
  const { source, reason, hard, confidence, recipient, remoteMta } = bounced;
  // What servers refused at once is seen where it was tried.
  if (source !== "dsn" || !hard || confidence < confidenceMin || !isSendersDoing(reason)) return undefined;
  const address = recipient === unknownRecipient ? "" : recipient;
  // Sure or not, its delivery bounced once.
  const once = { ...bounced, id: `${bounced.deliveryId}.bounced` };
  return { ...aboutMessage(once, "bounced"), ...known(providerOf(address, remoteMta)) };
}

function aboutMessage(
  { id, organizationId, messageId, origin }: Payload<"mail.complained"> | Payload<"mail.bounced">,
  kind: Report["kind"],
): Report {
  const short = new Bun.CryptoHasher("sha256").update(id).digest("base64url").slice(0, 10);
  return { id: short, kind, organizationId, messageId, ...(origin === undefined ? {} : { origin }) };
}

const known = (provider: string | undefined) =>
  provider !== undefined && isProvider(provider) ? { provider } : undefined;

/**
 * Hands reports to all that learn from them. A report is acknowledged when all of them have stored what they made of it: after a
 * crash it comes again, and they know it. Each tells false when it could not.
 */
export const hearFeedback = (
  bus: Pick<Bus, "consume">,
  learners: readonly ((report: Report) => Promise<boolean>)[],
): Promise<Consumption> => {
  const hear = async (feedback: Feedback) => {
    const report = reportOf(feedback);
    if (report === undefined) return done;
    const stored = await Promise.all(learners.map((learn) => learn(report)));
    return stored.every(Boolean) ? done : retry(againMs, "what it tells could not be stored");
  };
  return bus.consume(
    "mta-feedback",
    {
      "mail.complained": (complained) => hear({ complained }),
      "mail.bounced": (bounced) => hear({ bounced }),
    },
    // Each waits until it is stored; those that can come again are remembered by whoever learned from them.
    { concurrency: heardMax },
  );
};
