import { addressNeedsSmtputf8 } from "./address.needs-smtputf8.ts";
import { contentInfected } from "./content.infected.ts";
import { contentMalformed } from "./content.malformed.ts";
import { contentRefused } from "./content.refused.ts";
import { contentTooLarge } from "./content.too-large.ts";
import { domainTakesNoMail } from "./domain.takes-no-mail.ts";
import { domainUnknown } from "./domain.unknown.ts";
import { expired } from "./expired.ts";
import { greylisted } from "./greylisted.ts";
import { mailboxDisabled } from "./mailbox.disabled.ts";
import { mailboxFull } from "./mailbox.full.ts";
import { mailboxMoved } from "./mailbox.moved.ts";
import { mailboxUnknown } from "./mailbox.unknown.ts";
import { networkDns } from "./network.dns.ts";
import { networkTls } from "./network.tls.ts";
import { networkUnreachable } from "./network.unreachable.ts";
import { policyRefused } from "./policy.refused.ts";
import { protocolError } from "./protocol.error.ts";
import { rateLimited } from "./rate.limited.ts";
import { receiverBusy } from "./receiver.busy.ts";
import { recipientRefused } from "./recipient.refused.ts";
import { reputationListed } from "./reputation.listed.ts";
import { routingLoop } from "./routing.loop.ts";
import type { Rule } from "./rule.ts";
import { senderRefused } from "./sender.refused.ts";
import { senderUnauthenticated } from "./sender.unauthenticated.ts";

/**
 * Every reason that shows in words or codes; `unclear` is what is left. Between equal scores the earlier rule wins, so
 * the order is: what cannot be mistaken, what judges us, what is soft, and last the reasons that suppress an address.
 */
export const rules: readonly Rule[] = [
  contentInfected,
  greylisted,
  mailboxFull,
  contentTooLarge,
  addressNeedsSmtputf8,
  routingLoop,
  recipientRefused,
  senderUnauthenticated,
  reputationListed,
  rateLimited,
  senderRefused,
  contentRefused,
  networkDns,
  networkTls,
  networkUnreachable,
  contentMalformed,
  protocolError,
  mailboxMoved,
  mailboxDisabled,
  domainTakesNoMail,
  domainUnknown,
  mailboxUnknown,
  policyRefused,
  expired,
  receiverBusy,
];
