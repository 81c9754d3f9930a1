/**
 * Everything that happens to mail, in the past tense. The key is the NATS subject: what you grep for is what
 * `nats sub 'mail.>'` prints. All of them live in the stream EVENTS, and the recorder takes each to Convex. A message
 * holds one event or several of its subject, one JSON text per line.
 *
 * Payloads grow by optional fields only; a breaking change is a new subject.
 */
import { z } from "zod";
import { QuarantineKind } from "./egress.ts";
import { Reason } from "./reasons.ts";
import {
  Address,
  Campaign,
  DeliveryId,
  Domain,
  MessageId,
  OrganizationId,
  Origin,
  TimeMs,
  Traffic,
} from "./values.ts";

/**
 * An SMTP reply (RFC 5321 §4.2): the code, the enhanced status code where there was one (RFC 3463), all lines without either joined by
 * \n. Of a provider's API the HTTP status and its words.
 */
export const Reply = z.object({
  code: z.number().int().min(200).max(599),
  enhanced: z.string().max(16).optional(),
  text: z.string().max(2_000),
});
export type Reply = z.infer<typeof Reply>;

/** How a session was encrypted, and what the policies of the recipient's domain, the message and the operator found. */
export const TlsSession = z.object({
  version: z.string(),
  cipher: z.string(),
  /** A known authority vouches for the certificate, and it is for the server's name. */
  authorized: z.boolean(),
  /** Why `authorized` is false. */
  problem: z.string().max(300).optional(),
  certificate: z
    .object({
      subject: z.string().max(200),
      issuer: z.string().max(200),
      /** SHA-256 of the certificate, hex. */
      fingerprint: z.string().max(64),
      endsAt: TimeMs.optional(),
    })
    .optional(),
  /** Every policy that had a say; without `result` it is met. `result` is a word of RFC 8460 §4.3. */
  policies: z
    .array(
      z.object({
        policy: z.enum(["floor", "sts", "dane", "require-tls"]),
        /** A breach keeps mail from this server; else it is only told. */
        isEnforced: z.boolean(),
        result: z.string().max(40).optional(),
        why: z.string().max(300).optional(),
      }),
    )
    .max(6)
    .optional(),
});
export type TlsSession = z.infer<typeof TlsSession>;

/** The remote server of one attempt and how we spoke to it. Durations in milliseconds. */
export const Conversation = z.object({
  mx: z.string().max(253),
  ip: z.string().max(45),
  localIp: z.string().max(45).optional(),
  /** `null`: the connection was not encrypted. */
  tls: TlsSession.nullable(),
  reused: z.boolean(),
  durationMs: z.number().nonnegative(),
  /** Of the first message on a connection: until it stood, through a proxy too; and from STARTTLS until it was encrypted. */
  connectMs: z.number().nonnegative().optional(),
  tlsMs: z.number().nonnegative().optional(),
  /** Until the server had taken the envelope; the message, up to its end; and until it answered the message. */
  envelopeMs: z.number().nonnegative().optional(),
  bodyMs: z.number().nonnegative().optional(),
  replyMs: z.number().nonnegative().optional(),
  /** The provider that took the message for delivery in our place; its server is `mx`, and `ip` is empty where it is not known. */
  provider: z.enum(["smtp", "ses", "resend"]).optional(),
  /** What the provider calls the message. */
  providerId: z.string().max(200).optional(),
});
export type Conversation = z.infer<typeof Conversation>;

/** What sending can be stopped for. */
export const holdScopes = ["site", "domain", "organization", "campaign", "everything"] as const;

/** `id` names the event: publishing the same id again is a no-op, and Convex applies each id once. */
const event = { id: z.string().min(1).max(120), at: TimeMs, organizationId: OrganizationId };
const aboutMessage = { ...event, messageId: MessageId };
const aboutDelivery = {
  ...aboutMessage,
  deliveryId: DeliveryId,
  recipient: Address,
  /** W3C Trace Context of the request that the message came with, when traces are on. */
  traceparent: z.string().max(64).optional(),
};

/** One recipient of a submission, in envelope order: `deliveryId` is `<messageId>-<index>`. */
export const Recipient = z.object({ address: Address, role: z.enum(["to", "cc", "bcc"]) });
export type Recipient = z.infer<typeof Recipient>;

/** Where a body lies that shares its part with others: `bodyBytes` from `offset` on in `body.<id>.0`. */
export const BodyPack = z.object({
  id: z.string().regex(/^p[0-9a-hjkmnp-tv-z]{26}$/),
  offset: z.number().int().nonnegative(),
  /** How many bodies share it; it is dropped when the last of them is. */
  bodies: z.number().int().positive(),
});
export type BodyPack = z.infer<typeof BodyPack>;

/** What is known of a message when the gateway takes it; enough to queue it without reading the body. */
const accepted = {
  ...aboutMessage,
  /** The RFC 5322 Message-ID without angle brackets. */
  messageIdHeader: z.string().max(320),
  from: Address,
  fromName: z.string().max(200).optional(),
  /** The signing domain, which is also the domain of `from`; its record is in the bucket DOMAINS. */
  domain: Domain,
  subject: z.string().max(998),
  recipients: z.array(Recipient).min(1).max(1_000),
  /** Bytes of the composed message in the stream BODY, in `bodyChunks` parts. */
  bodyBytes: z.number().int().positive(),
  bodyChunks: z.number().int().positive().max(1_000),
  /** Set when several bodies share one part. */
  bodyPack: BodyPack.optional(),
  attachments: z.number().int().nonnegative(),
  tags: z.array(z.string().max(64)).max(20),
  metadata: z.record(z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/), z.string()),
  /** Send not before; absent means now. */
  scheduledAt: TimeMs.optional(),
  /** Each recipient's copy gets List-Unsubscribe (RFC 8058) and CFBL fields (RFC 9477) of its own. */
  unsubscribe: z.boolean().optional(),
  /** Absent means transactional. */
  traffic: Traffic.optional(),
  campaign: Campaign.optional(),
  /** `true`: TLS all the way or not at all (REQUIRETLS). `false`: rather delivered than encrypted (`TLS-Required: No`, RFC 8689). */
  requireTls: z.boolean().optional(),
  /** Give up at this time. */
  expiresAt: TimeMs,
  /** W3C Trace Context of the request that it came with, when traces are on. */
  traceparent: z.string().max(64).optional(),
  apiKeyId: z.string().optional(),
  /** Published by a process that took the work over from one that died: the same message may be in EVENTS already. */
  isRepeat: z.boolean().optional(),
};

/** Results of SPF, DKIM, DMARC and ARC as words of RFC 8601 §2.7. */
export const Authentication = z.object({
  spf: z.string().max(20),
  dkim: z.string().max(20),
  dmarc: z.string().max(20),
  arc: z.string().max(20).optional(),
});
export type Authentication = z.infer<typeof Authentication>;

/** What a message that came in is: exactly one of these. */
export const inboundKinds = [
  "bounce",
  "complaint",
  "unsubscribe",
  "auto-reply",
  "challenge",
  "dmarc-report",
  "tls-report",
  "reply",
  "mail",
  "unclear",
] as const;
export const InboundKind = z.enum(inboundKinds);
export type InboundKind = z.infer<typeof InboundKind>;

const AcceptedMessage = z.object(accepted);
export type AcceptedMessage = z.infer<typeof AcceptedMessage>;

export const events = {
  /**
   * Published by the gateway: we are responsible for the message and it may leave. Body and this event are stored
   * before the 202. Consumed by the mta (queues one entry per recipient) and the recorder.
   */
  "mail.accepted": AcceptedMessage,

  /**
   * Published by the gateway instead of `mail.accepted` when the message has attachments: we are responsible, and the
   * scanner must pass it first. Consumed by the scanner and the recorder.
   */
  "mail.submitted": AcceptedMessage,

  /** Published by the scanner: clamd found nothing. Consumed by the mta (queues `message`) and the recorder. */
  "mail.scanned": z.object({
    ...aboutMessage,
    engine: z.string(),
    durationMs: z.number(),
    message: AcceptedMessage,
  }),

  /**
   * Published by the scanner: the message goes nowhere, because it is infected (then `signature` names what was
   * found), is larger than clamd takes, or could not be scanned until it expired. Consumed by the recorder.
   */
  "mail.refused": z.object({
    ...aboutMessage,
    reason: z.enum(["content.infected", "content.too-large", "expired"]),
    signature: z.string().max(200).optional(),
  }),

  /** Published by the scanner, once per message and outage: the scan waits because clamd does not answer. Consumed by the recorder. */
  "mail.held": z.object({ ...aboutMessage, why: z.string().max(300) }),

  /** Published by the gateway before a scheduled message's time came; nothing is sent. Consumed by the recorder. */
  "mail.cancelled": z.object(aboutMessage),

  /**
   * Published by the gateway or the mta: the recipient is suppressed, so nothing is sent to it. Consumed by the recorder.
   * The gateway's are not in the envelope of `mail.accepted`: their delivery ids continue after it, and `role` is set.
   */
  "mail.suppressed": z.object({ ...aboutDelivery, role: Recipient.shape.role.optional() }),

  /** Published by the mta: a temporary failure; the next attempt is at `nextAttemptAt`. Consumed by the recorder. */
  "mail.deferred": z.object({
    ...aboutDelivery,
    attempt: z.number().int().positive(),
    reason: Reason,
    reply: Reply.optional(),
    /** Our own words where the remote gave no reply (connection refused, timeout). */
    explanation: z.string().max(500).optional(),
    conversation: Conversation.optional(),
    nextAttemptAt: TimeMs,
    /** Once per recipient: it has waited so long by now that its sender should know (RFC 3461 §4.1 calls it delayed). */
    isDelayNotice: z.literal(true).optional(),
  }),

  /** Published by the mta: a remote server answered 2xx after the final dot. Consumed by the recorder. */
  "mail.delivered": z.object({
    ...aboutDelivery,
    attempt: z.number().int().positive(),
    reply: Reply,
    conversation: Conversation,
    /** What signed the message, such as `{ domain, selector, algorithm: "rsa-sha256" }`. */
    dkim: z.array(z.object({ domain: Domain, selector: z.string(), algorithm: z.string() })),
    returnPath: Address,
  }),

  /**
   * We gave up on a recipient. Published by the mta (`source: "smtp"`) or, when a report came back later, by bounce
   * (`source: "dsn"`). Of several about one delivery the best founded counts, in whatever order they come (bounces.ts). Consumed by
   * the recorder and the mta; Convex suppresses on a hard fault of the recipient that is sure.
   */
  "mail.bounced": z.object({
    ...aboutDelivery,
    source: z.enum(["smtp", "dsn"]),
    reason: Reason,
    fault: z.enum(["recipient", "sender", "content", "network", "policy"]),
    hard: z.boolean(),
    /** 0 to 1: how sure the classification is. */
    confidence: z.number().min(0).max(1),
    attempt: z.number().int().positive().optional(),
    reply: Reply.optional(),
    explanation: z.string().max(500).optional(),
    conversation: Conversation.optional(),
    /** The mail server that reported or refused, where the report names one. */
    remoteMta: z.string().max(253).optional(),
    /** The stored report (bucket-less id in the stream RAW) for `source: "dsn"`. */
    rawId: z.string().optional(),
    /** From the return path that a report came to, for the mta. */
    origin: Origin.optional(),
  }),

  /**
   * Published by bounce: a report says that a recipient's mail is only late (RFC 3464 action `delayed`), was relayed,
   * expanded or delivered. Consumed by the recorder.
   */
  "mail.reported": z.object({
    ...aboutDelivery,
    action: z.enum(["delayed", "delivered", "relayed", "expanded"]),
    status: z.string().max(16).optional(),
    diagnostic: z.string().max(1_000).optional(),
    rawId: z.string(),
  }),

  /**
   * Published by bounce, once for every recipient of a message that it took: what it was, and where its bytes are. What it means for a
   * delivery or a person is told by the events below, which carry the same `rawId`. The raw message is in the stream RAW
   * until the recorder has stored it as a file. Consumed by the recorder.
   */
  "mail.received": z.object({
    ...event,
    /** `<rawId>-<recipient>`, with the `rawId` of the other events; see `rawIdOf`. */
    inboundId: z.string(),
    kind: InboundKind,
    /** Why it counts as `kind`, for people; for `unclear` what could not be understood. */
    why: z.string().max(300).optional(),
    envelopeFrom: z.union([Address, z.literal("")]),
    envelopeTo: Address,
    from: z.string().max(500).optional(),
    subject: z.string().max(998).optional(),
    /** The message it belongs to, when the address carried a valid return path of ours. */
    deliveryId: DeliveryId.optional(),
    authentication: Authentication,
    rawBytes: z.number().int().nonnegative(),
    rawChunks: z.number().int().positive(),
    remoteIp: z.string(),
  }),

  /**
   * Published by bounce: a recipient, or their provider for them, complained (RFC 5965, RFC 9477). Believed because the
   * report holds a return path of ours with a valid HMAC (then `deliveryId` is set) or the Message-ID of a message of
   * ours. Consumed by the recorder; Convex suppresses the recipient of the delivery, unless `feedback` is `not-spam`.
   */
  "mail.complained": z.object({
    ...aboutMessage,
    /** Absent when only the Message-ID was left: then the message's only recipient is meant, or nobody that we can name. */
    deliveryId: DeliveryId.optional(),
    feedback: z.enum(["abuse", "fraud", "virus", "not-spam", "opt-out", "other"]),
    /** The dialect of the report. */
    format: z.enum(["arf", "jmrp", "cfbl", "other"]),
    /** Who reports, as a domain: `yahoo.com`. */
    reporter: z.string().max(253).optional(),
    /** The address that the report names; often redacted, never believed over the delivery's own. */
    claimedRecipient: Address.optional(),
    sourceIp: z.string().max(45).optional(),
    arrivedAt: TimeMs.optional(),
    rawId: z.string(),
    /** From the return path that stands in the report, for the mta. */
    origin: Origin.optional(),
  }),

  /**
   * A recipient wants no more mail: by the one-click request of RFC 8058 (published by the gateway), by mail to the
   * address in List-Unsubscribe, or by a report of type opt-out (published by bounce). The token's HMAC was valid.
   * Consumed by the recorder; Convex suppresses the recipient of the delivery.
   */
  "mail.unsubscribed": z.object({
    ...aboutMessage,
    deliveryId: DeliveryId,
    method: z.enum(["one-click", "link", "mailto", "report"]),
    rawId: z.string().optional(),
  }),

  /**
   * Published by bounce: a person answered something we sent. Found by the return path or by In-Reply-To and
   * References (RFC 5322 §3.6.4). Consumed by the recorder, and by whoever answers replies.
   */
  "mail.replied": z.object({
    ...aboutMessage,
    deliveryId: DeliveryId.optional(),
    foundBy: z.enum(["return-path", "message-id"]),
    envelopeTo: Address,
    from: z.string().max(500),
    subject: z.string().max(998).optional(),
    /** What the person wrote, without quoted history and signature. */
    text: z.string().max(20_000),
    authentication: Authentication,
    rawId: z.string(),
  }),

  /**
   * Published by bounce: one part of a DMARC aggregate report (RFC 9990) about a domain of ours. Rows of large reports
   * are spread over several events with the same `reportId`. Consumed by the recorder.
   */
  "report.dmarc": z.object({
    ...event,
    domain: Domain,
    reporter: z.string().max(253),
    reportId: z.string().max(250),
    part: z.number().int().nonnegative(),
    beginAt: TimeMs,
    endAt: TimeMs,
    policy: z.object({
      p: z.string().max(20),
      sp: z.string().max(20).optional(),
      adkim: z.string().max(10).optional(),
      aspf: z.string().max(10).optional(),
    }),
    rows: z
      .array(
        z.object({
          sourceIp: z.string().max(45),
          count: z.number().int().nonnegative(),
          disposition: z.string().max(20),
          /** Whether SPF and DKIM passed in alignment with the From domain. */
          dkimAligned: z.boolean(),
          spfAligned: z.boolean(),
          headerFrom: z.string().max(253),
          dkim: z
            .array(
              z.object({
                domain: z.string().max(253),
                selector: z.string().max(100).optional(),
                result: z.string().max(20),
              }),
            )
            .max(10),
          spf: z.array(z.object({ domain: z.string().max(253), result: z.string().max(20) })).max(10),
        }),
      )
      .max(500),
    rawId: z.string(),
  }),

  /** Published by bounce: a TLS report (RFC 8460) about a domain of ours. Consumed by the recorder. */
  "report.tls": z.object({
    ...event,
    domain: Domain,
    reporter: z.string().max(253),
    reportId: z.string().max(250),
    beginAt: TimeMs,
    endAt: TimeMs,
    policies: z
      .array(
        z.object({
          type: z.enum(["sts", "tlsa", "no-policy-found"]),
          mxHosts: z.array(z.string().max(253)).max(20),
          succeeded: z.number().int().nonnegative(),
          failed: z.number().int().nonnegative(),
          failures: z
            .array(
              z.object({
                result: z.string().max(60),
                count: z.number().int().nonnegative(),
                sendingIp: z.string().max(45).optional(),
                receivingMx: z.string().max(253).optional(),
                detail: z.string().max(300).optional(),
              }),
            )
            .max(100),
        }),
      )
      .max(20),
    rawId: z.string(),
  }),

  /**
   * Published by the mta: mail of this scope waits until a person releases it or its time is over. `by` is a person or key,
   * `rule:<id>` or `breaker:<id>`. `organizationId` is `default` where the scope is not one organisation's. Consumed by the recorder.
   */
  "sending.held": z.object({
    ...event,
    scope: z.enum(holdScopes),
    /** A site, a domain, an organisation, `<organisation>/<campaign>`, or `*`. */
    scopeId: z.string().max(253),
    /** An organisation or campaign that is held at this site alone. */
    site: z.string().max(253).optional(),
    why: z.string().max(500),
    by: z.string().max(120),
    untilAt: TimeMs.optional(),
  }),

  /** Published by the mta: a hold was lifted by a person, or its time is over (`by: "time"`). Consumed by the recorder. */
  "sending.released": z.object({
    ...event,
    scope: z.enum(holdScopes),
    scopeId: z.string().max(253),
    site: z.string().max(253).optional(),
    by: z.string().max(120),
    /** When it began. */
    heldAt: TimeMs,
  }),

  /**
   * Published by the mta: one of our addresses is out of its pools, because its reverse DNS is wrong or a block list that
   * receivers go by names it. `organizationId` is `default`. Consumed by the recorder.
   */
  "egress.quarantined": z.object({
    ...event,
    egress: z.string().max(40),
    ip: z.string().max(45).optional(),
    kind: QuarantineKind,
    why: z.string().max(300),
  }),

  /** Published by the mta: the reason is gone, and the address is in its pools again. Consumed by the recorder. */
  "egress.released": z.object({
    ...event,
    egress: z.string().max(40),
    ip: z.string().max(45).optional(),
    kind: QuarantineKind,
    /** When it was taken out. */
    quarantinedAt: TimeMs,
  }),

  /**
   * Published by the mta: signing keys of a domain were made. Private keys are sealed with MTA_SECRET. Consumed by the
   * recorder; Convex keeps the first set and hands it back through the bucket DOMAINS, and only then is it used. With
   * `rotation` they are the next keys of a domain that has some, and sign once DNS shows all of them.
   */
  "domain.keyed": z.object({
    ...event,
    domain: Domain,
    /** The rotation that asked for them, as in the domain's record. */
    rotation: z.number().int().min(2).optional(),
    keys: z
      .array(
        z.object({
          selector: z.string().max(63),
          algorithm: z.enum(["rsa-sha256", "ed25519-sha256"]),
          /** Base64 for the `p=` tag (RFC 6376 §3.6.1, RFC 8463 §4). */
          publicKey: z.string(),
          sealedPrivateKey: z.string(),
        }),
      )
      .min(1)
      .max(4),
  }),
} as const;

export type Subject = keyof typeof events;
export type Payload<S extends Subject> = z.infer<(typeof events)[S]>;
/** An event as it is stored and posted: the subject and its payload. */
export type StoredEvent = { [S in Subject]: { subject: S; payload: Payload<S> } }[Subject];

export const subjects = Object.keys(events) as Subject[];
export const isSubject = (text: string): text is Subject => Object.hasOwn(events, text);
