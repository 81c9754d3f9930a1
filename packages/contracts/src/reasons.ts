/**
 * Why a message did not arrive: one vocabulary for our own SMTP attempts and for the reports of others. `fault` says
 * who has to change something; `hard` says that the recipient is really gone, as most senders and services count hard
 * bounces: a full or switched-off mailbox, a block, a limit or a server in trouble is soft, since other mail may arrive
 * there tomorrow. Only a hard reason with `fault: "recipient"` suppresses an address, if it is sure (bounces.ts). docs/bounces.md maps the words of other vocabularies to these.
 */
import { z } from "zod";

export type Fault = "recipient" | "sender" | "content" | "network" | "policy";
export type ReasonRow = { fault: Fault; hard: boolean; say: string };

export const reasons = {
  "mailbox.unknown": { fault: "recipient", hard: true, say: "The mailbox does not exist" },
  "mailbox.disabled": { fault: "recipient", hard: false, say: "The mailbox is disabled" },
  "mailbox.moved": { fault: "recipient", hard: true, say: "The mailbox has moved and takes no mail" },
  "mailbox.full": { fault: "recipient", hard: false, say: "The mailbox is full" },
  "domain.unknown": { fault: "recipient", hard: true, say: "The domain does not exist" },
  "domain.takes-no-mail": { fault: "recipient", hard: true, say: "The domain says that it takes no mail" },
  "recipient.refused": {
    fault: "policy",
    hard: false,
    say: "The recipient's server takes no mail for this address from us",
  },
  "sender.refused": { fault: "sender", hard: false, say: "The receiver refuses this sender" },
  "sender.unauthenticated": {
    fault: "sender",
    hard: false,
    say: "SPF, DKIM or DMARC of the sender did not pass",
  },
  "sender.unsigned": {
    fault: "sender",
    hard: false,
    say: "The sender's domain has no signing keys here yet",
  },
  "reputation.listed": {
    fault: "sender",
    hard: false,
    say: "Our address is on a block list of the receiver",
  },
  "content.refused": { fault: "content", hard: false, say: "The receiver took the content for spam" },
  "content.infected": { fault: "content", hard: false, say: "The receiver found malware" },
  "content.too-large": {
    fault: "content",
    hard: false,
    say: "The message is larger than the receiver takes",
  },
  "content.malformed": { fault: "content", hard: false, say: "The receiver could not read the message" },
  "address.needs-smtputf8": {
    fault: "network",
    hard: false,
    say: "The receiver cannot handle this international address",
  },
  "policy.refused": { fault: "policy", hard: false, say: "A rule of the receiver refused the message" },
  "protocol.error": {
    fault: "network",
    hard: false,
    say: "The two servers did not understand each other",
  },
  greylisted: { fault: "policy", hard: false, say: "The receiver asks unknown senders to try again" },
  "rate.limited": { fault: "policy", hard: false, say: "The receiver limits how fast we send" },
  "receiver.busy": { fault: "network", hard: false, say: "The receiver's server has a problem of its own" },
  "network.unreachable": { fault: "network", hard: false, say: "No server of the receiver could be reached" },
  "network.tls": {
    fault: "network",
    hard: false,
    say: "No acceptable encryption with the receiver's server",
  },
  "network.dns": { fault: "network", hard: false, say: "DNS did not answer" },
  "local.trouble": { fault: "network", hard: false, say: "Tyto could not try, for a reason of its own" },
  "routing.loop": { fault: "network", hard: false, say: "The mail routing of the receiver is a loop" },
  expired: { fault: "network", hard: false, say: "The time to deliver ran out" },
  unclear: { fault: "policy", hard: false, say: "The receiver refused without a reason that is known here" },
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof reasons;
export const Reason = z.enum(Object.keys(reasons) as [Reason, ...Reason[]]);
