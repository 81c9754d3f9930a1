/**
 * NATS key-value buckets. Each is a cache or a mark: what owns the truth, and how the bucket is made again, stands
 * above each.
 */
import { z } from "zod";
import { Hold, Measure } from "./control.ts";
import { QuarantineRecord, WarmingRecord } from "./egress.ts";
import { type ErrorCode, errors } from "./errors.ts";
import { events, isSubject } from "./events.ts";
import { Address, Domain, Heard, MessageId, OrganizationId, TimeMs } from "./values.ts";

/** What a DNS record of a sending domain is for. */
export const dnsPurposes = ["dkim", "spf", "return-path", "dmarc"] as const;

/** A signing domain as services need it. `keys` is empty until the mta's keys came back through Convex. */
export const DomainRecord = z.object({
  domain: Domain,
  organizationId: OrganizationId,
  /** Host of the return path, `bounces.<domain>`; its MX points at us. */
  returnPathHost: Domain,
  keys: events["domain.keyed"].shape.keys.element.array(),
  /** True once all required DNS records were seen. */
  verified: z.boolean(),
  /** Keys that sign from the moment when DNS shows all of them. `keys` is empty until the mta's came back through Convex. */
  rotation: z
    .object({
      /** Counts the key sets of a domain; the first ones, which no rotation made, are number 1. */
      number: z.number().int().min(2),
      keys: events["domain.keyed"].shape.keys.element.array(),
    })
    .optional(),
  /** Purposes of which the last look at DNS found a record missing or different; absent before the first look. */
  unpublished: z.array(z.enum(dnsPurposes)).optional(),
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
  /** Ids of the rules for senders that it breaks. */
  rules: z.array(z.string()).optional(),
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

/** One mta process, as it tells the others that it lives. The key is its name; a name has one life at a time. */
export const PeerRecord = z.object({
  /** This life; another one under the same name ends it. */
  id: z.string().max(64),
  /** Counts up with each beat of one life. */
  beat: z.number().int().positive(),
  /** The lives that it reckons with: all that it uses stands in SHARES, where they can see it. */
  sees: z.array(z.string().max(64)).max(1_000),
});
export type PeerRecord = z.infer<typeof PeerRecord>;

/** What each mta process has of the limits of one site through one egress. */
export const ShareRecord = z.object({
  /** Whose turn it is, where there is too little for all. */
  turn: z.number().int().nonnegative(),
  /** By the life that holds it. */
  claims: z.record(
    z.string().max(64),
    z.object({
      connections: z.number().int().nonnegative(),
      /** Messages a minute; absent where the rate is not limited. */
      perMinute: z.number().nonnegative().optional(),
      /** Messages that wait or are on their way. */
      wanted: z.number().nonnegative(),
      /** The limits as this process knows them; the strictest counts. */
      connectionsMax: z.number().int().nonnegative(),
      perMinuteMax: z.number().nonnegative().optional(),
    }),
  ),
});
export type ShareRecord = z.infer<typeof ShareRecord>;

/** What was learned of a site from one of our addresses: where a new process starts from. */
export const SiteRecord = z.object({
  egress: z.string().max(253),
  site: z.string().max(253),
  provider: z.string().max(60).optional(),
  state: z.enum(["open", "slowed", "suspended"]),
  untilMs: TimeMs.optional(),
  why: z.string().max(500).optional(),
  /** Absent: not limited. */
  ratePerMin: z.number().positive().optional(),
  connections: z.number().int().positive(),
  /** Pauses that followed each other. */
  pauses: z.number().int().nonnegative(),
  troubleAtMs: TimeMs,
  savedAtMs: TimeMs,
});
export type SiteRecord = z.infer<typeof SiteRecord>;

/** Outcomes of one organisation or campaign, as all processes counted them, in blocks: the newest block last. */
export const BreakerRecord = z.object({
  scope: z.enum(["organization", "campaign"]),
  id: z.string().max(253),
  organizationId: OrganizationId,
  /** One list per window of the breaker. */
  windows: z.array(
    z.object({
      sentMax: z.number().int().positive(),
      blocks: z.array(
        z.object({
          sent: z.number().int().nonnegative(),
          bounced: z.number().int().nonnegative(),
          complained: z.number().int().nonnegative(),
        }),
      ),
    }),
  ),
  /** Holds that followed each other. */
  opened: z.number().int().nonnegative(),
  openedAtMs: TimeMs.optional(),
  /** End of the hold. */
  untilMs: TimeMs.optional(),
  heard: Heard.optional(),
  savedAtMs: TimeMs,
});
export type BreakerRecord = z.infer<typeof BreakerRecord>;

/** An MTA-STS policy (RFC 8461) as it was fetched. It counts for `maxAgeS` from `fetchedAt`. */
export const StsPolicyRecord = z.object({
  domain: z.string().max(253),
  id: z.string().max(32),
  mode: z.enum(["enforce", "testing", "none"]),
  mx: z.array(z.string().max(255)).max(100),
  maxAgeS: z.number().int().nonnegative(),
  fetchedAt: TimeMs,
});
export type StsPolicyRecord = z.infer<typeof StsPolicyRecord>;

/** Encrypted and failed sessions of one day (UTC) to one domain, as one process counted them, for TLS reports (RFC 8460). */
export const TlsTally = z.object({
  /** `2026-11-21`. */
  day: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  domain: z.string().max(253),
  policies: z
    .array(
      z.object({
        type: z.enum(["sts", "tlsa", "no-policy-found"]),
        /** The lines of an MTA-STS policy, or the TLSA records. */
        lines: z.array(z.string().max(300)).max(110),
        mx: z.array(z.string().max(255)).max(100),
        succeeded: z.number().int().nonnegative(),
        failed: z.number().int().nonnegative(),
        failures: z
          .array(
            z.object({
              result: z.string().max(40),
              mx: z.string().max(253).optional(),
              ip: z.string().max(45).optional(),
              localIp: z.string().max(45).optional(),
              why: z.string().max(300).optional(),
              count: z.number().int().positive(),
            }),
          )
          .max(50),
      }),
    )
    .max(8),
});
export type TlsTally = z.infer<typeof TlsTally>;

/** A TLS report that a process took upon itself, and whether it left. */
export const TlsReportClaim = z.object({
  at: TimeMs,
  isSent: z.boolean(),
  tries: z.number().int().positive(),
});
export type TlsReportClaim = z.infer<typeof TlsReportClaim>;

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
  /**
   * Key: an mta process's name. The mta's alone; rebuilt within seconds by those that live. It lives longer than a silent
   * process is reckoned with, and holds all beats of that time: who has read its own has then read those of others before it.
   */
  PEERS: { value: PeerRecord, ttlMs: 60_000, history: 64 },
  /** Key: egress and site. The mta's alone; worth nothing beyond the lives of those in it, who renew it every few hours. */
  SHARES: { value: ShareRecord, ttlMs: 24 * hourMs, history: 1 },
  /**
   * Key: `bucketKey(egress, site)`. The mta's alone. Lost means that limits are learned again from the start of their profiles;
   * what is a day old says nothing any more.
   */
  SITES: { value: SiteRecord, ttlMs: 24 * hourMs, history: 1 },
  /** Key: `bucketKey(scope, id)`, and the site behind it where it is held there alone. The mta's alone; every mta watches it. Lost means that nothing is held. */
  HOLDS: { value: Hold, ttlMs: 0, history: 1 },
  /**
   * Key: `bucketKey(action, egress or rule, site)`, or `bucketKey("limit", site)`. The mta's alone; all processes change it in turns. Lost
   * means that a rule has to see its replies again, and an operator has to set a site's limits anew. Each lasts a day at most.
   */
  MEASURES: { value: Measure, ttlMs: 2 * 24 * hourMs, history: 1 },
  /** Key: `bucketKey(scope, id)`. The mta's alone; all processes change it in turns. Lost means that rates are counted from nothing. */
  BREAKERS: { value: BreakerRecord, ttlMs: 30 * 24 * hourMs, history: 1 },
  /** Key: the egress. The mta's alone. Lost means that addresses which are not warm begin at the day of their date, or at 1. */
  WARMING: { value: WarmingRecord, ttlMs: 0, history: 1 },
  /** Key: `<egress>.<kind>`. The mta's alone. Lost means that the next check, within minutes of a start, finds it again. */
  QUARANTINES: { value: QuarantineRecord, ttlMs: 0, history: 1 },
  /**
   * Key: the domain. The mta's alone. Not rebuildable while a domain's DNS or web server is being suppressed: then a policy
   * that was seen before counts until it runs out, at most a year.
   */
  STS_POLICIES: { value: StsPolicyRecord, ttlMs: 366 * 24 * hourMs, history: 1 },
  /** Key: `<day>.<process>.<domain>`. The mta's alone; lost means sessions missing in a report. Reports leave the day after. */
  TLS_TALLIES: { value: TlsTally, ttlMs: 4 * 24 * hourMs, history: 1 },
  /** Key: `<day>.<domain>`. The mta's alone; lost means that a domain may get a day's report twice. */
  TLS_REPORTS: { value: TlsReportClaim, ttlMs: 4 * 24 * hourMs, history: 1 },
  /** Key: `cursor`. The recorder's alone; lost means a new snapshot. */
  SYNC: { value: SyncCursor, ttlMs: 0, history: 1 },
} as const;

export type BucketName = keyof typeof buckets;
export type BucketValue<B extends BucketName> = z.infer<(typeof buckets)[B]["value"]>;

/** The key of an address in SUPPRESSIONS. The whole address is folded: no receiver in practice tells case apart. */
export function suppressionKey(address: string): string {
  return new Bun.CryptoHasher("sha256").update(address.toLowerCase()).digest("hex");
}

/** Any texts as one key of a bucket, in which a dot, a star or a space would mean something. */
export const bucketKey = (...parts: readonly string[]): string =>
  parts.map((part) => encodeURIComponent(part).replaceAll(".", "%2E").replaceAll("*", "%2A")).join("/");
