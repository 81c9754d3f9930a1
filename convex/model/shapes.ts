/** Validators that several tables and functions share. Each type is inferred from its validator. */
import { messageStatuses, reasons, scopes as scopeNames } from "@tyto/contracts";
import { type Infer, v } from "convex/values";
import { literals } from "convex-helpers/validators";

export const messageStatus = literals(...messageStatuses);
export const role = literals("to", "cc", "bcc");
export const reason = literals(...(Object.keys(reasons) as (keyof typeof reasons)[]));

/** Where one recipient stands by its own events. `waiting` stands as the message does: scheduled, held, cancelled and so on. */
export const outcome = literals("waiting", "deferred", "delivered", "bounced", "suppressed");
export type Outcome = Infer<typeof outcome>;

/** Where one recipient stands; what the strongest event said stands here whole. */
export const deliveryState = v.object({
  outcome,
  /** Attempts that ended, by the highest number seen. */
  attempts: v.number(),
  updatedAt: v.number(),
  /** The event that decided the outcome, and how it compares with others. */
  decidedBy: v.optional(
    v.object({ rank: v.number(), attempt: v.number(), at: v.number(), eventId: v.string() }),
  ),
  reason: v.optional(reason),
  /** The remote server's words, or ours where it said nothing. */
  reply: v.optional(v.string()),
  mx: v.optional(v.string()),
  nextAttemptAt: v.optional(v.number()),
});
export type DeliveryState = Infer<typeof deliveryState>;

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
  purpose: literals("dkim", "spf", "return-path", "dmarc"),
  type: literals("TXT", "MX"),
  name: v.string(),
  value: v.string(),
  required: v.boolean(),
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

export const scope = literals(...scopeNames);

/** The buckets that Convex owns; their values are BucketValue of @tyto/contracts. */
export const syncedBucket = literals("SUPPRESSIONS", "DOMAINS", "API_KEYS");
export type SyncedBucket = Infer<typeof syncedBucket>;

export const inboundKind = literals("mail", "auto-reply", "unclear");
export const authentication = v.object({ spf: v.string(), dkim: v.string(), dmarc: v.string() });
