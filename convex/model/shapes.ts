/** Validators that several tables and functions share. Each type is inferred from its validator. */
import { dnsPurposes, inboundKinds, messageStatuses, reasons, scopes as scopeNames } from "@tyto/contracts";
import { type Infer, v } from "convex/values";
import { literals } from "convex-helpers/validators";

export const messageStatus = literals(...messageStatuses);
export const role = literals("to", "cc", "bcc");
export const reason = literals(...(Object.keys(reasons) as (keyof typeof reasons)[]));

/** Where one recipient stands by its own events. `waiting` stands as the message does: scheduled, held, cancelled and so on. */
export const outcome = literals("waiting", "deferred", "delivered", "bounced", "suppressed");
export type Outcome = Infer<typeof outcome>;

/** Which of two events about one recipient decides: compared in this order. */
const decider = { rank: v.number(), attempt: v.number(), at: v.number(), eventId: v.string() };

/** What says why a recipient was not reached: our reason, and the remote server's words, or ours where it said nothing. */
const said = { reason: v.optional(reason), reply: v.optional(v.string()), mx: v.optional(v.string()) };

/** The best founded bounce of a recipient; `standing` counts before what decides otherwise. */
export const bounce = v.object({ standing: v.number(), ...decider, ...said });
export type Bounce = Infer<typeof bounce>;

/** Where one recipient stands; what the strongest event said stands here whole. */
export const deliveryState = v.object({
  outcome,
  /** Attempts that ended, by the highest number seen. */
  attempts: v.number(),
  updatedAt: v.number(),
  /** The event that decided the outcome, and how it compares with others. */
  decidedBy: v.optional(v.object(decider)),
  /** Of all bounces the one that counts; it says why where the outcome is `bounced`. */
  bounce: v.optional(bounce),
  ...said,
  nextAttemptAt: v.optional(v.number()),
});
export type DeliveryState = Infer<typeof deliveryState>;

/** One event in its message's own row; `line` is the JSON of what the timeline shows of it (timeline.ts). */
export const heldEvent = v.object({ eventId: v.string(), at: v.number(), line: v.string() });
export type HeldEvent = Infer<typeof heldEvent>;
/** Accepted and delivered, and two more: few messages have more, and lists read them with every message. */
export const eventsHeldMax = 4;

/** What is known of a message once an event with its details came. */
export const details = v.object({
  messageIdHeader: v.string(),
  from: v.string(),
  fromName: v.optional(v.string()),
  subject: v.string(),
  /** The first `previewMax` recipients, for lists. */
  preview: v.array(v.string()),
  recipientCount: v.number(),
  bodyBytes: v.number(),
  attachments: v.number(),
  tags: v.array(v.string()),
  metadata: v.record(v.string(), v.string()),
  scheduledAt: v.optional(v.number()),
  expiresAt: v.number(),
  apiKeyId: v.optional(v.string()),
});
export type Details = Infer<typeof details>;
export const previewMax = 3;

/** What happened to a message as a whole. Each mark is set by one kind of event and never taken back, so that order does not matter. */
export const marks = v.object({
  held: v.boolean(),
  scanned: v.boolean(),
  refused: v.boolean(),
  cancelled: v.boolean(),
});
export type Marks = Infer<typeof marks>;

/** How many recipients of a message have which outcome; those that wait are the rest. */
export const tally = v.object({
  deferred: v.number(),
  delivered: v.number(),
  bounced: v.number(),
  suppressed: v.number(),
});
export type Tally = Infer<typeof tally>;

export const suppressionCause = literals("bounce", "complaint", "manual", "unsubscribe");

export const domainState = literals("preparing", "pending", "verified", "failing");
export const dnsRecord = v.object({
  purpose: literals(...dnsPurposes),
  type: literals("TXT", "MX"),
  name: v.string(),
  value: v.string(),
  required: v.boolean(),
  /** Of a DKIM key that does not sign yet, or signs no more. */
  stage: v.optional(literals("next", "old")),
  state: literals("unchecked", "found", "missing", "different", "unreachable"),
  found: v.array(v.string()),
});
const publicKey = {
  selector: v.string(),
  algorithm: literals("rsa-sha256", "ed25519-sha256"),
  /** Base64 for the `p=` tag (RFC 6376 §3.6.1, RFC 8463 §4). */
  publicKey: v.string(),
};
export const domainPublicKey = v.object(publicKey);
export const domainKey = v.object({ ...publicKey, sealedPrivateKey: v.string() });
export type DomainKey = Infer<typeof domainKey>;
/** Next keys of a domain, empty until the mta made them. They become its keys when DNS shows all of them. */
export const domainRotation = v.object({
  number: v.number(),
  startedAt: v.number(),
  keys: v.array(domainKey),
});
/** A key that signs no more. Its record stays published until `keepUntil`, and counts until it is gone from DNS after that. */
export const retiredKey = v.object({ ...publicKey, keepUntil: v.number() });

export const scope = literals(...scopeNames);

/** The buckets that Convex owns; their values are BucketValue of @tyto/contracts. */
export const syncedBucket = literals("SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES");
export type SyncedBucket = Infer<typeof syncedBucket>;

export const inboundKind = literals(...inboundKinds);
export const authentication = v.object({
  spf: v.string(),
  dkim: v.string(),
  dmarc: v.string(),
  arc: v.optional(v.string()),
});

/** What keeps mail from a recipient, or a recipient from wanting it. */
export const failureKind = literals("bounce", "complaint", "unsubscribe");
export type FailureKind = Infer<typeof failureKind>;

/** A failure that is counted as soon as the sending domain of its message is known. */
export const failure = v.object({
  kind: failureKind,
  at: v.number(),
  /** The bounce's reason, the complaint's feedback type, or the way of unsubscribing. */
  reason: v.string(),
  hard: v.boolean(),
  provider: v.string(),
});
export type Failure = Infer<typeof failure>;

export const breakdownKind = literals("bounce", "complaint", "unsubscribe", "inbound");
export type BreakdownKind = Infer<typeof breakdownKind>;

/** How many things that happened agree in everything. `reason` of what came in is its kind. */
export const breakdownCell = v.object({
  kind: breakdownKind,
  reason: v.string(),
  hard: v.boolean(),
  provider: v.string(),
  domain: v.string(),
  count: v.number(),
});
export type BreakdownCell = Infer<typeof breakdownCell>;

/** Why an address is to be suppressed once it is known; a bounce when `cause` is absent. */
export const suppressionWish = v.object({
  since: v.number(),
  evidence: v.optional(v.string()),
  cause: v.optional(literals("complaint", "unsubscribe")),
});
export type SuppressionWish = Infer<typeof suppressionWish>;

/** What changes of a delivery. */
export const onlyDelivery = v.object({ state: deliveryState, suppression: v.optional(suppressionWish) });

/** Messages by how DMARC saw them: `passed` by SPF or DKIM in alignment (RFC 9989 §4.3), and what receivers did. */
export const dmarcCounts = {
  messages: v.number(),
  passed: v.number(),
  dkimAligned: v.number(),
  spfAligned: v.number(),
  quarantined: v.number(),
  rejected: v.number(),
};
const dmarcCountsObject = v.object(dmarcCounts);
export type DmarcCounts = Infer<typeof dmarcCountsObject>;

export const dmarcPolicy = v.object({
  p: v.string(),
  sp: v.optional(v.string()),
  adkim: v.optional(v.string()),
  aspf: v.optional(v.string()),
});

/** One kind of failure in a TLS report. */
export const tlsFailure = v.object({
  result: v.string(),
  count: v.number(),
  sendingIp: v.optional(v.string()),
  receivingMx: v.optional(v.string()),
  detail: v.optional(v.string()),
});
export type TlsFailure = Infer<typeof tlsFailure>;
