import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { holdScope } from "./model/holds.ts";
import { quarantineKind } from "./model/quarantines.ts";
import {
  authentication,
  breakdownCell,
  deliveryState,
  details,
  dmarcCounts,
  dmarcPolicy,
  dnsRecord,
  domainKey,
  domainRotation,
  domainState,
  failure,
  heldEvent,
  inboundKind,
  marks,
  messageStatus,
  onlyDelivery,
  retiredKey,
  role,
  scope,
  suppressionCause,
  suppressionWish,
  syncedBucket,
  tally,
  tlsFailure,
} from "./model/shapes.ts";

/** What follows from events: model/record.ts writes, retention.ts removes after `mailDaysMax`. */
const mail = {
  // Written by every event about a message, whichever comes first; read by lists and detail pages.
  // Message ids are ULIDs, so the order of `messageId` is the order of acceptance.
  messages: defineTable({
    messageId: v.string(),
    organizationId: v.string(),
    status: messageStatus,
    acceptedAt: v.number(),
    updatedAt: v.number(),
    /** The signing domain; absent until an event with details came. */
    domain: v.optional(v.string()),
    details: v.optional(details),
    marks,
    tally,
    /** Recipients seen, by details or by their own events. */
    deliveryCount: v.number(),
    lastReply: v.optional(v.object({ at: v.number(), eventId: v.string(), text: v.string() })),
    /** A complaint that names no delivery: it suppresses the only recipient, if there is only one. */
    complaint: v.optional(suppressionWish),
    /** Failures that are counted once the domain is known; at most `uncountedMax`. */
    uncounted: v.optional(v.array(failure)),
    /** The first `eventsHeldMax` events, in the order in which they came; later ones have rows in `timeline`. Absent in old rows. */
    events: v.optional(v.array(heldEvent)),
    /** How the only recipient stands, of a message that has but one: its row in `deliveries` does not say so then. */
    only: v.optional(onlyDelivery),
  })
    .index("by_messageId", ["messageId"])
    .index("by_status_messageId", ["status", "messageId"])
    .index("by_domain_messageId", ["domain", "messageId"])
    .index("by_domain_status_messageId", ["domain", "status", "messageId"]),

  // One row per tag of a message, for lists by tag; carries the message's status, which changes with it.
  messageTags: defineTable({ tag: v.string(), status: messageStatus, messageId: v.string() })
    .index("by_messageId", ["messageId"])
    .index("by_tag_messageId", ["tag", "messageId"])
    .index("by_tag_status_messageId", ["tag", "status", "messageId"]),

  // One row per recipient of a message. Written by details and by events about the recipient; read by detail pages
  // and by lists by recipient.
  deliveries: defineTable({
    deliveryId: v.string(),
    messageId: v.string(),
    /** As in the envelope; as in a report while nothing else is known (`isAddressSure` is false then). */
    address: v.string(),
    isAddressSure: v.boolean(),
    /** In lower case, for lists by recipient. */
    addressKey: v.string(),
    role: v.optional(role),
    /** Absent where the message says it (`only`): then an outcome changes one row. */
    state: v.optional(deliveryState),
    /** A bounce, complaint or wish that suppresses the address as soon as it is sure. */
    suppression: v.optional(suppressionWish),
  })
    .index("by_deliveryId", ["deliveryId"])
    .index("by_messageId", ["messageId"])
    .index("by_addressKey_messageId", ["addressKey", "messageId"]),

  // One row per event about a message beyond those that its own row holds: what happened, and the proof that the event was
  // applied. Written once, read by detail pages. Events older than the stream keeps them (14 days) cannot come again, so
  // rows may leave after that.
  timeline: defineTable({
    eventId: v.string(),
    messageId: v.string(),
    at: v.number(),
    subject: v.string(),
    deliveryId: v.optional(v.string()),
    recipient: v.optional(v.string()),
    reply: v.optional(v.string()),
    /** What else the event says, in its own field names. */
    detail: v.record(v.string(), v.any()),
  })
    .index("by_eventId", ["eventId"])
    .index("by_messageId_at", ["messageId", "at"]),

  // What came back or was complained about, one row per event beside its row of `timeline`, but one bounce per delivery: the best
  // founded. Read by the lists of bounces, complaints and unsubscriptions.
  failures: defineTable({
    eventId: v.string(),
    messageId: v.string(),
    deliveryId: v.optional(v.string()),
    ...failure.fields,
    /** The remote server's words, or who complained. */
    evidence: v.optional(v.string()),
    /** The report as it came: an `inboundId`. */
    rawId: v.optional(v.string()),
  })
    .index("by_deliveryId_kind", ["deliveryId", "kind"])
    .index("by_kind_at", ["kind", "at"])
    .index("by_kind_reason_at", ["kind", "reason", "at"])
    .index("by_kind_provider_at", ["kind", "provider", "at"]),

  // What people answered. Written by mail.replied, read by detail pages and the lists of replies and of received mail.
  replies: defineTable({
    eventId: v.string(),
    organizationId: v.string(),
    at: v.number(),
    messageId: v.string(),
    deliveryId: v.optional(v.string()),
    foundBy: v.union(v.literal("return-path"), v.literal("message-id")),
    envelopeTo: v.string(),
    from: v.string(),
    subject: v.optional(v.string()),
    text: v.string(),
    authentication,
    rawId: v.string(),
  })
    .index("by_at", ["at"])
    .index("by_messageId_at", ["messageId", "at"])
    .index("by_rawId", ["rawId"]),

  // Received mail. Written by mail.received, read by the inbound page.
  inbound: defineTable({
    inboundId: v.string(),
    eventId: v.string(),
    organizationId: v.string(),
    at: v.number(),
    kind: inboundKind,
    /** Why it counts as `kind`. */
    why: v.optional(v.string()),
    envelopeFrom: v.string(),
    envelopeTo: v.string(),
    from: v.optional(v.string()),
    subject: v.optional(v.string()),
    deliveryId: v.optional(v.string()),
    authentication,
    rawBytes: v.number(),
    remoteIp: v.string(),
  })
    .index("by_inboundId", ["inboundId"])
    .index("by_at", ["at"])
    .index("by_kind_at", ["kind", "at"]),

  // Raw messages in file storage. Written by POST /inbound, before or after the events that name it; leaves with its file.
  inboundFiles: defineTable({ rawId: v.string(), storageId: v.id("_storage"), bytes: v.number() }).index(
    "by_rawId",
    ["rawId"],
  ),
};

/** What others report about our domains, once per report whatever came how often. Written by report.*, removed by age. */
const reports = {
  // One row per part of a DMARC aggregate report; proof that it was applied. Leaves with mail.
  dmarcReports: defineTable({
    eventId: v.string(),
    at: v.number(),
    domain: v.string(),
    reporter: v.string(),
    reportId: v.string(),
    part: v.number(),
    beginAt: v.number(),
    endAt: v.number(),
    policy: dmarcPolicy,
    ...dmarcCounts,
    rawId: v.string(),
  })
    .index("by_report", ["domain", "reporter", "reportId", "part"])
    .index("by_domain_beginAt", ["domain", "beginAt"]),

  // Sums per domain and day (UTC, of the report's beginning). Leave after `reportDaysKept`.
  dmarcDays: defineTable({ domain: v.string(), day: v.number(), ...dmarcCounts })
    .index("by_domain_day", ["domain", "day"])
    .index("by_day", ["day"]),

  // Sums per domain, day and sending address, at most `sourcesPerDayMax` addresses; the rest counts as "other". Leave
  // with mail.
  dmarcSources: defineTable({
    domain: v.string(),
    day: v.number(),
    sourceIp: v.string(),
    ...dmarcCounts,
    /** Domains that the source's mail was signed by or sent from, which tell whose server it is; a few. */
    dkimDomains: v.array(v.string()),
    spfDomains: v.array(v.string()),
  })
    .index("by_domain_day_sourceIp", ["domain", "day", "sourceIp"])
    .index("by_day", ["day"]),

  // One row per TLS report and domain; leaves with mail.
  tlsReports: defineTable({
    eventId: v.string(),
    at: v.number(),
    domain: v.string(),
    reporter: v.string(),
    reportId: v.string(),
    beginAt: v.number(),
    endAt: v.number(),
    succeeded: v.number(),
    failed: v.number(),
    policies: v.array(v.object({ type: v.string(), succeeded: v.number(), failed: v.number() })),
    /** The most frequent ones, at most `tlsFailuresMax`. */
    failures: v.array(tlsFailure),
    rawId: v.string(),
  })
    .index("by_report", ["domain", "reporter", "reportId"])
    .index("by_domain_beginAt", ["domain", "beginAt"])
    .index("by_beginAt", ["beginAt"]),

  // Sums per domain and day. Leave after `reportDaysKept`.
  tlsDays: defineTable({ domain: v.string(), day: v.number(), succeeded: v.number(), failed: v.number() })
    .index("by_domain_day", ["domain", "day"])
    .index("by_day", ["day"]),
};

/** What stopped sending. */
const sending = {
  // One row per hold; written by sending.held and sending.released, whichever comes first; leaves with mail.
  holds: defineTable({
    organizationId: v.string(),
    scope: holdScope,
    scopeId: v.string(),
    site: v.optional(v.string()),
    heldAt: v.number(),
    why: v.optional(v.string()),
    by: v.optional(v.string()),
    untilAt: v.optional(v.number()),
    releasedAt: v.optional(v.number()),
    releasedBy: v.optional(v.string()),
  })
    .index("by_scope", ["scope", "scopeId", "heldAt"])
    .index("by_heldAt", ["heldAt"]),

  // One row each time an address of ours was out of its pools; written by egress.quarantined and egress.released, whichever
  // comes first; leaves with mail.
  quarantines: defineTable({
    egress: v.string(),
    kind: quarantineKind,
    quarantinedAt: v.number(),
    ip: v.optional(v.string()),
    why: v.optional(v.string()),
    releasedAt: v.optional(v.number()),
  })
    .index("by_egress", ["egress", "kind", "quarantinedAt"])
    .index("by_quarantinedAt", ["quarantinedAt"]),
};

const counting = {
  // Bounces, complaints, unsubscriptions and mail that came in, by reason, provider and domain together, so that any of
  // them can be asked for, per hour and day; at most about `cellsMax` cells a row. Written by model/record.ts; hours leave after
  // `breakdownHoursKeptDays`, days after `hoursKeptDays`.
  breakdowns: defineTable({
    period: v.union(v.literal("hour"), v.literal("day")),
    at: v.number(),
    shard: v.number(),
    cells: v.array(breakdownCell),
  }).index("by_period_at_shard", ["period", "at", "shard"]),

  // Events per minute and per hour in `counterShards` shards, so that concurrent batches seldom meet in one row.
  // Written by model/record.ts; read by charts; minutes leave after `minutesKeptDays`, hours after `hoursKeptDays`.
  counters: defineTable({
    period: v.union(v.literal("minute"), v.literal("hour")),
    /** Start of the period. */
    at: v.number(),
    shard: v.number(),
    accepted: v.number(),
    delivered: v.number(),
    bounced: v.number(),
    deferred: v.number(),
  }).index("by_period_at_shard", ["period", "at", "shard"]),

  // How many there are or ever were, in shards. Written with the rows they count; never leaves.
  totals: defineTable({
    name: v.union(v.literal("messages"), v.literal("suppressions")),
    shard: v.number(),
    count: v.number(),
  }).index("by_name_shard", ["name", "shard"]),
};

/** What people decide, and hard bounces. Each change also goes to `changes`. Rows leave when somebody removes them. */
const owned = {
  // Written by hard bounces of the recipient's fault and by people; read by the suppressions page and sync.snapshot.
  suppressions: defineTable({
    /** sha256 hex of the lower-case address: the key in the bucket SUPPRESSIONS. */
    key: v.string(),
    organizationId: v.string(),
    address: v.string(),
    addressKey: v.string(),
    cause: suppressionCause,
    since: v.number(),
    messageId: v.optional(v.string()),
    evidence: v.optional(v.string()),
  })
    .index("by_key", ["key"])
    .index("by_addressKey", ["addressKey"]),

  // Written by the gateway (add, check, rotate, remove) and by domain.keyed (keys of each rotation, once); read by the domains
  // page and sync.snapshot.
  domains: defineTable({
    domain: v.string(),
    organizationId: v.string(),
    returnPathHost: v.string(),
    state: domainState,
    createdAt: v.number(),
    checkedAt: v.optional(v.number()),
    records: v.array(dnsRecord),
    keys: v.array(domainKey),
    /** Counts the key sets that the domain has had; absent means 1. */
    keysNumber: v.optional(v.number()),
    /** Since when `keys` sign; absent means since the domain was added. */
    keysSince: v.optional(v.number()),
    rotation: v.optional(domainRotation),
    retired: v.optional(v.array(retiredKey)),
  }).index("by_domain", ["domain"]),

  // Written by the gateway; read by the keys page and sync.snapshot. Only the sha256 of a secret is kept.
  apiKeys: defineTable({
    apiKeyId: v.string(),
    organizationId: v.string(),
    name: v.string(),
    /** The first characters of the secret, so that a person can tell keys apart. */
    prefix: v.string(),
    hash: v.string(),
    scopes: v.array(scope),
    createdAt: v.number(),
    lastUsedAt: v.optional(v.number()),
  })
    .index("by_apiKeyId", ["apiKeyId"])
    .index("by_hash", ["hash"]),

  // Where mail is taken besides return paths. Written by the gateway; read by the inboxes page and sync.snapshot.
  inboxes: defineTable({
    /** sha256 hex of the pattern: the key in the bucket INBOXES. */
    key: v.string(),
    organizationId: v.string(),
    /** `support@example.com` or `*@example.com`, in lower case. */
    pattern: v.string(),
    since: v.number(),
  })
    .index("by_key", ["key"])
    .index("by_pattern", ["pattern"]),

  // The change log of those above, followed live by the recorder. Rows leave after `changesKeptDays`; who was away
  // longer takes a snapshot.
  changes: defineTable({
    sequence: v.number(),
    bucket: syncedBucket,
    key: v.string(),
    /** The bucket's value as JSON, or null when it is gone. */
    value: v.union(v.string(), v.null()),
  }).index("by_sequence", ["sequence"]),

  // One row: the highest sequence given out. Its id names the log, so that a follower notices a new, emptied one.
  changeHead: defineTable({ sequence: v.number() }),
};

/** Sign-in, by better-auth in the gateway through authStore.ts. Times in milliseconds; ids are the documents' own. */
const accounts = {
  // People who may open the dashboard. Read on every call of a user function.
  users: defineTable({
    name: v.string(),
    email: v.string(),
    emailVerified: v.boolean(),
    image: v.optional(v.union(v.string(), v.null())),
    createdAt: v.number(),
    updatedAt: v.number(),
    /** A person who may no longer read anything; the row stays. */
    disabled: v.optional(v.boolean()),
  }).index("by_email", ["email"]),

  // Cookies of the dashboard. Leave at sign-out, and by retention.ts once expired.
  sessions: defineTable({
    userId: v.string(),
    token: v.string(),
    expiresAt: v.number(),
    ipAddress: v.optional(v.union(v.string(), v.null())),
    userAgent: v.optional(v.union(v.string(), v.null())),
    createdAt: v.number(),
    updatedAt: v.number(),
  })
    .index("by_token", ["token"])
    .index("by_userId", ["userId"])
    .index("by_expiresAt", ["expiresAt"]),

  // Password hashes and links to other providers, one per way to sign in.
  accounts: defineTable({
    userId: v.string(),
    accountId: v.string(),
    providerId: v.string(),
    accessToken: v.optional(v.union(v.string(), v.null())),
    refreshToken: v.optional(v.union(v.string(), v.null())),
    idToken: v.optional(v.union(v.string(), v.null())),
    accessTokenExpiresAt: v.optional(v.union(v.number(), v.null())),
    refreshTokenExpiresAt: v.optional(v.union(v.number(), v.null())),
    scope: v.optional(v.union(v.string(), v.null())),
    password: v.optional(v.union(v.string(), v.null())),
    createdAt: v.number(),
    updatedAt: v.number(),
  })
    .index("by_userId", ["userId"])
    .index("by_accountId", ["accountId"]),

  // Short-lived codes, such as those that change a password. Leave when used, and by retention.ts once expired.
  verifications: defineTable({
    identifier: v.string(),
    value: v.string(),
    expiresAt: v.number(),
    createdAt: v.number(),
    updatedAt: v.number(),
  })
    .index("by_identifier", ["identifier"])
    .index("by_expiresAt", ["expiresAt"]),
};

export default defineSchema({ ...mail, ...reports, ...sending, ...counting, ...owned, ...accounts });
