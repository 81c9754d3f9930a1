/**
 * NATS key-value buckets. Each is a cache or a mark: what owns the truth, and how the bucket is made again, stands
 * above each.
 */
import { z } from "zod";
import { type ErrorCode, errors } from "./errors.ts";
import { events, isSubject } from "./events.ts";
import { Address, Domain, MessageId, OrganizationId, TimeMs } from "./values.ts";

/** A signing domain as services need it. `keys` is empty until the mta's keys came back through Convex. */
export const DomainRecord = z.object({
  domain: Domain,
  organizationId: OrganizationId,
  /** Host of the return path, `bounces.<domain>`; its MX points at us. */
  returnPathHost: Domain,
  keys: events["domain.keyed"].shape.keys.element.array(),
  /** True once all required DNS records were seen. */
  verified: z.boolean(),
});
export type DomainRecord = z.infer<typeof DomainRecord>;

export const scopes = ["emails:send", "emails:read", "suppressions:write", "domains:write", "admin"] as const;
export const Scope = z.enum(scopes);
export type Scope = z.infer<typeof Scope>;

export const ApiKeyRecord = z.object({
  apiKeyId: z.string(),
  organizationId: OrganizationId,
  name: z.string(),
  scopes: z.array(Scope),
  createdAt: TimeMs,
});
export type ApiKeyRecord = z.infer<typeof ApiKeyRecord>;

/** Where mail is taken besides return paths: one address, or every address of a domain of ours (`*@example.com`). */
export const InboxRecord = z.object({
  /** `support@example.com` or `*@example.com`, in lower case. */
  pattern: z.string().max(254),
  organizationId: OrganizationId,
  since: TimeMs,
});
export type InboxRecord = z.infer<typeof InboxRecord>;

export const SuppressionRecord = z.object({
  address: Address,
  cause: z.enum(["bounce", "complaint", "manual", "unsubscribe"]),
  since: TimeMs,
});
export type SuppressionRecord = z.infer<typeof SuppressionRecord>;

/**
 * What was decided for one message of a request: enough to compose the same bytes and publish the same events again,
 * so that finishing a request that a crash cut short sends nothing twice.
 */
export const SendDecision = z.object({
  messageId: MessageId,
  /** Positions in the request's envelope (to, cc, bcc in order) that were suppressed. */
  suppressed: z.array(z.number().int().nonnegative()),
  warnings: z.array(z.string()),
});
export type SendDecision = z.infer<typeof SendDecision>;

/** An item of a batch that was not accepted, and why. Which fields are wrong is read from the item again. */
export const SendRefusal = z.object({
  failed: z.enum(Object.keys(errors) as [ErrorCode, ...ErrorCode[]]),
  hint: z.string().optional(),
});
export type SendRefusal = z.infer<typeof SendRefusal>;

/**
 * A request with an Idempotency-Key. `bodySha256` tells the same request from another one; the answer is a function of
 * the request and `decisions`, so it is not stored.
 */
export const IdempotencyRecord = z.object({
  bodySha256: z.string(),
  /** The process that runs the request. Another one may take it over `leaseMs` after `at`. */
  owner: z.string(),
  at: TimeMs,
  /** One per message of the request, in its order. */
  decisions: z.array(z.union([SendDecision, SendRefusal])),
  /** True once everything that was decided is stored in JetStream. */
  done: z.boolean(),
});
export type IdempotencyRecord = z.infer<typeof IdempotencyRecord>;

/**
 * "Attempt N of this delivery is over": written before the queue entry is acknowledged and read before every
 * attempt, so that an entry that comes back after a crash is not sent again. The event is published again from here
 * if the process died before it was stored.
 */
export const AttemptMark = z.object({
  attempt: z.number().int().positive(),
  /** No further attempt follows: delivered, bounced, suppressed or cancelled. */
  final: z.boolean(),
  event: z.object({ subject: z.string().refine(isSubject), payload: z.unknown() }),
});
export type AttemptMark = z.infer<typeof AttemptMark>;

/** Who came first to a scheduled message: the gateway's cancel or the mta's release. Created once, never updated. */
export const Claim = z.object({ by: z.enum(["cancelled", "released"]), at: TimeMs });
export type Claim = z.infer<typeof Claim>;

/** The recorder's place in Convex's change log. */
export const SyncCursor = z.object({
  sequence: z.number().int().nonnegative(),
  /** Which change log the sequence counts in; another one means another store. */
  log: z.string().default(""),
});

const hourMs = 3_600_000;

export const buckets = {
  /** Key: sha256 hex of the lower-case address. Owned by Convex; refilled by the recorder's snapshot. Read by gateway and mta. */
  SUPPRESSIONS: { value: SuppressionRecord, ttlMs: 0, history: 1 },
  /** Key: the domain. Owned by Convex; refilled by the recorder. Read by gateway, mta and bounce. */
  DOMAINS: { value: DomainRecord, ttlMs: 0, history: 1 },
  /** Key: sha256 hex of the secret. Owned by Convex; refilled by the recorder. Read by the gateway. */
  API_KEYS: { value: ApiKeyRecord, ttlMs: 0, history: 1 },
  /** Key: sha256 hex of the pattern. Owned by Convex; refilled by the recorder. Read by bounce. */
  INBOXES: { value: InboxRecord, ttlMs: 0, history: 1 },
  /** Key: sha256 hex of API key id and Idempotency-Key. The gateway's alone; lost means that a repeat within 24 h is a new request. */
  IDEMPOTENCY: { value: IdempotencyRecord, ttlMs: 24 * hourMs, history: 1 },
  /**
   * Key: delivery id. The mta's alone. Must outlive the time in which an acknowledged entry can come back: seconds, and
   * after a crash of the server until it runs again. A mark costs the server up to 0.5 KB of memory, hence no longer.
   */
  ATTEMPTS: { value: AttemptMark, ttlMs: 6 * hourMs, history: 1 },
  /** Key: message id. Written by gateway and mta for scheduled messages only; not rebuildable, kept past the longest schedule (30 days). */
  CLAIMS: { value: Claim, ttlMs: 40 * 24 * hourMs, history: 1 },
  /** Key: `cursor`. The recorder's alone; lost means a new snapshot. */
  SYNC: { value: SyncCursor, ttlMs: 0, history: 1 },
} as const;

export type BucketName = keyof typeof buckets;
export type BucketValue<B extends BucketName> = z.infer<(typeof buckets)[B]["value"]>;

/** The key of an address in SUPPRESSIONS. The whole address is folded: no receiver in practice tells case apart. */
export function suppressionKey(address: string): string {
  return new Bun.CryptoHasher("sha256").update(address.toLowerCase()).digest("hex");
}
