/**
 * The story of the gateway: a request becomes a message that we are responsible for.
 *
 *   decide   which recipients are suppressed, is the sender's domain ours, does bulk mail keep the receivers' rules, what is
 *            the message's id
 *   plan     from request and decision to the events, without I/O: the same each time
 *   store    compose, then the body, then the event: the order in which a crash leaves nothing half done
 *   answer   what the client hears, again from request and decision alone
 */

import { packBodyBytesMax } from "@tyto/bus";
import {
  type Address,
  Domain,
  type DomainRecord,
  defaultOrganization,
  deliveryId,
  Failure,
  type Issue,
  limits,
  newMessageId,
  type Payload,
  type Recipient,
  type SendAnswer,
  type SendDecision,
  type SendRequest,
  type Traffic,
  toFailure,
} from "@tyto/contracts";
import { encodeMessageId } from "@tyto/mail";
import type { Caller } from "./caller.ts";
import { compose } from "./compose.ts";
import { brokenRules, type RulesMode, warnings } from "./sender-rules/judge.ts";
import { type Asked, ownHeader } from "./sender-rules/rules.ts";

export type AcceptPorts = {
  /** The signing domain with its keys; waits a moment for a domain that was added just now. */
  findDomain(domain: Domain): Promise<DomainRecord | undefined>;
  isSuppressed(address: Address): Promise<boolean>;
  /** Stores a body and resolves with its number of parts. */
  putBody(messageId: string, bytes: Uint8Array): Promise<number>;
  /** Stores several bodies as one, at most `packBodyBytesMax` in all. */
  putBodies(id: string, bodies: readonly Uint8Array[]): Promise<void>;
  publishAll(subject: "mail.accepted", payloads: readonly Payload<"mail.accepted">[]): Promise<void>;
  publish<S extends "mail.accepted" | "mail.submitted" | "mail.suppressed">(
    subject: S,
    payload: Payload<S>,
  ): Promise<void>;
  now(): number;
  /** Where links in mail lead. */
  siteUrl: string;
  /** Bulk mail that breaks a rule of the large receivers is refused, or sent with a warning. */
  bulkRules: RulesMode;
};

/** A message that is not taken, by the ids of the rules for senders that it breaks. */
export type RuleRefusal = { rules: string[] };

const dayMs = 86_400_000;

/**
 * Throws Failure `request.invalid` (schedule too far ahead, too many recipients), `domain.unknown`,
 * `recipient.suppressed` when nobody is left, and what the ports throw.
 */
export async function decide(ports: AcceptPorts, mail: SendRequest): Promise<SendDecision | RuleRefusal> {
  const nowMs = ports.now();
  const issues = wrongPlaces(mail, nowMs);
  if (issues.length > 0) throw new Failure("request.invalid", "limits", { issues });

  const recipients = envelopeOf(mail);
  const name = signingDomain(mail);
  const [domain, ...suppression] = await Promise.all([
    ports.findDomain(name),
    ...recipients.map(({ address }) => ports.isSuppressed(address)),
  ]);
  if (domain === undefined)
    throw new Failure("domain.unknown", `no domain ${name}`, {
      hint: `Add ${name} first: POST /v1/domains {"domain":"${name}"}, or in the dashboard under Domains`,
    });
  const suppressed = suppression.flatMap((is, index) => (is ? [index] : []));
  if (suppressed.length === recipients.length)
    throw new Failure("recipient.suppressed", "all recipients are suppressed", {
      hint: "Remove an address from the suppression list only if its owner asked for it: DELETE /v1/suppressions/{address}",
    });
  const asked = askedOf(ports, mail);
  const broken = brokenRules({ ...asked, unpublished: domain.unpublished }, trafficOf(mail));
  if (broken.length > 0 && ports.bulkRules === "refuse") return { rules: broken };
  return {
    messageId: newMessageId(nowMs),
    suppressed,
    warnings: [
      ...(domain.verified
        ? []
        : [
            `The DNS records of ${name} are not all published yet, so receivers may refuse this message: GET /v1/domains/${name}`,
          ]),
      ...warnings(broken, asked),
    ],
  };
}

/** What the rules for senders look at of a request. */
export const askedOf = ({ siteUrl }: Pick<AcceptPorts, "siteUrl">, mail: SendRequest): Asked => ({
  mail,
  domain: signingDomain(mail),
  siteUrl,
});

/** What the schema cannot say of a single field. */
export function wrongPlaces(mail: SendRequest, nowMs: number): Issue[] {
  const issues: Issue[] = [];
  const count = envelopeOf(mail).length;
  if (count > limits.recipientsMax)
    issues.push({
      path: "to",
      problem: `to, cc and bcc have ${count} recipients together; at most ${limits.recipientsMax}`,
    });
  const scheduledAt = mail.scheduled_at === undefined ? nowMs : Date.parse(mail.scheduled_at);
  if (scheduledAt > nowMs + limits.scheduleDaysMax * dayMs)
    issues.push({ path: "scheduled_at", problem: `must be at most ${limits.scheduleDaysMax} days ahead` });
  for (const [index, { content }] of (mail.attachments ?? []).entries())
    if (content.length > (limits.attachmentBytesMax / 3) * 4)
      issues.push({
        path: `attachments[${index}].content`,
        problem: `must have at most ${limits.attachmentBytesMax} bytes`,
      });
  return issues;
}

/** Everybody who gets the message, in the order to, cc, bcc; an address counts once, in its first role. */
export function envelopeOf(mail: SendRequest): Recipient[] {
  const seen = new Set<string>();
  const recipients: Recipient[] = [];
  for (const role of ["to", "cc", "bcc"] as const)
    for (const { address } of mail[role] ?? []) {
      const folded = address.toLowerCase();
      if (seen.has(folded)) continue;
      seen.add(folded);
      recipients.push({ address, role });
    }
  return recipients;
}

/** The domain of `from` in its ASCII form, which is also its key in the bucket DOMAINS. */
export const signingDomain = (mail: SendRequest): Domain =>
  asciiDomain(mail.from.address.split("@").pop() ?? "");

/** A domain with each label of another script as its A-label (RFC 5890 §2.3.2.1). Throws Failure `request.invalid`. */
export function asciiDomain(domain: string): Domain {
  const isAscii = /^[a-z0-9.-]+$/i.test(domain);
  if (!isAscii && !URL.canParse(`http://${domain}`))
    throw new Failure("request.invalid", "no A-label form", { hint: `${domain} cannot be a domain` });
  return Domain.parse(isAscii ? domain : new URL(`http://${domain}`).hostname);
}

const hasOwnUnsubscribe = (mail: SendRequest): boolean => ownHeader(mail, "list-unsubscribe") !== undefined;

/** Whoever lets recipients unsubscribe sends something they can do without, unless told otherwise. */
const trafficOf = (mail: SendRequest): Traffic =>
  mail.traffic ?? (mail.unsubscribe === true || hasOwnUnsubscribe(mail) ? "bulk" : "transactional");

/** RFC 8689 §4.1: REQUIRETLS wins over the header TLS-Required. */
function requireTlsOf({ require_tls, headers = {} }: SendRequest): { requireTls?: boolean } {
  if (require_tls !== undefined) return { requireTls: require_tls };
  const isWaived = Object.entries(headers).some(
    ([name, value]) => name.toLowerCase() === "tls-required" && value.trim().toLowerCase() === "no",
  );
  return isWaived ? { requireTls: false } : {};
}

export type Plan = {
  accepted: Omit<Payload<"mail.accepted">, "bodyBytes" | "bodyChunks">;
  suppressed: Payload<"mail.suppressed">[];
  dateMs: number;
};

/** The events of a decided message. `at` is when its request came first; `key` makes its Message-ID known as ours. */
export function planOf(
  mail: SendRequest,
  decision: SendDecision,
  at: number,
  caller: Caller,
  key: string,
): Plan {
  const { messageId } = decision;
  const all = envelopeOf(mail);
  const isSuppressed = new Set(decision.suppressed);
  const recipients = all.filter((_, index) => !isSuppressed.has(index));
  const asked = mail.scheduled_at === undefined ? at : Date.parse(mail.scheduled_at);
  const leavesAt = Math.max(at, asked);
  const domain = signingDomain(mail);
  const shared = { at, organizationId: defaultOrganization, messageId };
  return {
    dateMs: leavesAt,
    accepted: {
      ...shared,
      id: `${messageId}.accepted`,
      messageIdHeader: encodeMessageId(messageId, domain, key),
      from: mail.from.address,
      ...(mail.from.name === undefined ? {} : { fromName: mail.from.name.slice(0, 200) }),
      domain,
      subject: mail.subject,
      recipients,
      attachments: mail.attachments?.length ?? 0,
      tags: mail.tags ?? [],
      metadata: mail.metadata ?? {},
      ...(leavesAt > at ? { scheduledAt: leavesAt } : {}),
      ...(mail.unsubscribe === true && !hasOwnUnsubscribe(mail) ? { unsubscribe: true } : {}),
      ...(trafficOf(mail) === "bulk" ? { traffic: "bulk" as const } : {}),
      ...(mail.campaign === undefined ? {} : { campaign: mail.campaign }),
      ...requireTlsOf(mail),
      expiresAt: leavesAt + limits.expiryDays * dayMs,
      ...(caller.traceparent === undefined ? {} : { traceparent: caller.traceparent }),
      ...(caller.kind === "key" ? { apiKeyId: caller.id } : {}),
    },
    // Their delivery ids continue after the envelope, so that an envelope's positions never move.
    suppressed: decision.suppressed.flatMap((position, index) => {
      const recipient = all[position];
      const id = deliveryId(messageId, recipients.length + index);
      return recipient === undefined
        ? []
        : [
            {
              ...shared,
              id: `${id}.suppressed`,
              deliveryId: id,
              recipient: recipient.address,
              role: recipient.role,
            },
          ];
    }),
  };
}

/**
 * Resolves when JetStream holds body and events; the accepted event is returned. Repeating it with the same decision
 * stores nothing new. Throws Failure `request.too-large`, `storage.full` or `upstream.down`.
 */
export async function store(
  ports: AcceptPorts,
  mail: SendRequest,
  plan: Plan,
): Promise<Payload<"mail.accepted">> {
  const { messageId, messageIdHeader } = plan.accepted;
  const body = compose({ mail, messageId, messageIdHeader, dateMs: plan.dateMs });
  const bodyChunks = await ports.putBody(messageId, body);
  const accepted = { ...plan.accepted, bodyBytes: body.length, bodyChunks };
  await ports.publish(accepted.attachments > 0 ? "mail.submitted" : "mail.accepted", accepted);
  await Promise.all(plan.suppressed.map((payload) => ports.publish("mail.suppressed", payload)));
  return accepted;
}

/** Bodies up to this size share a part, which is read as a whole for each of them. */
const packedBodyBytesMax = 65_536;
const packBodiesMax = 50;

/**
 * The same for many messages: small ones share bodies and events with their neighbours, so that a batch costs little
 * more than its bytes. One result for each, in their order: the accepted event, or what kept it from being stored. The
 * same plans again make the same packs.
 */
export async function storeAll(
  ports: AcceptPorts,
  items: readonly { mail: SendRequest; plan: Plan }[],
): Promise<(Payload<"mail.accepted"> | Failure)[]> {
  const results = new Array<Payload<"mail.accepted"> | Failure>(items.length);
  const alone = async (index: number, { mail, plan }: (typeof items)[number]) => {
    results[index] = await store(ports, mail, plan).catch(toFailure);
  };
  const working: Promise<void>[] = [];
  let pack: Packed[] = [];
  let packBytes = 0;
  const close = () => {
    if (pack.length > 0) working.push(storePack(ports, pack, results));
    pack = [];
    packBytes = 0;
  };
  for (const [index, item] of items.entries()) {
    const { mail, plan } = item;
    if (plan.accepted.attachments > 0 || plan.accepted.scheduledAt !== undefined) {
      working.push(alone(index, item));
      continue;
    }
    // Composing a batch takes a while: others get their turns in between.
    if (index % composedAtOnceMax === composedAtOnceMax - 1) await new Promise(setImmediate);
    let body: Uint8Array;
    try {
      const { messageId, messageIdHeader } = plan.accepted;
      body = compose({ mail, messageId, messageIdHeader, dateMs: plan.dateMs });
    } catch (error) {
      results[index] = toFailure(error);
      continue;
    }
    if (body.length > packedBodyBytesMax) {
      working.push(alone(index, item));
      continue;
    }
    if (pack.length === packBodiesMax || packBytes + body.length > packBodyBytesMax) close();
    pack.push({ index, plan, body });
    packBytes += body.length;
  }
  close();
  await Promise.all(working);
  return results;
}

type Packed = { index: number; plan: Plan; body: Uint8Array };
const composedAtOnceMax = 16;

async function storePack(
  ports: AcceptPorts,
  pack: readonly Packed[],
  results: (Payload<"mail.accepted"> | Failure)[],
): Promise<void> {
  const [first] = pack;
  if (first === undefined) return;
  const id = `p${first.plan.accepted.messageId}`;
  let offset = 0;
  const accepted = pack.map(({ plan, body }) => {
    const bodyPack = { id, offset, bodies: pack.length };
    offset += body.length;
    return { ...plan.accepted, bodyBytes: body.length, bodyChunks: 1, bodyPack };
  });
  try {
    await ports.putBodies(
      id,
      pack.map(({ body }) => body),
    );
    await ports.publishAll("mail.accepted", accepted);
    await Promise.all(
      pack.flatMap(({ plan }) => plan.suppressed).map((payload) => ports.publish("mail.suppressed", payload)),
    );
    for (const [at, { index }] of pack.entries()) {
      const event = accepted[at];
      if (event !== undefined) results[index] = event;
    }
  } catch (error) {
    for (const { index } of pack) results[index] = toFailure(error);
  }
}

export function answerOf(mail: SendRequest, decision: SendDecision, at: number): SendAnswer {
  const isSuppressed = new Set(decision.suppressed);
  const isScheduled = mail.scheduled_at !== undefined && Date.parse(mail.scheduled_at) > at;
  return {
    id: decision.messageId,
    status: isScheduled ? "scheduled" : "accepted",
    recipients: envelopeOf(mail).map(({ address }, index) => ({
      address,
      status: isSuppressed.has(index) ? "suppressed" : "accepted",
    })),
    warnings: decision.warnings,
  };
}
