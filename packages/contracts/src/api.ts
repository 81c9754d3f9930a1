/**
 * The public HTTP API's requests and answers, in snake_case as JSON users expect. Served by the gateway; limits stand
 * here once and are quoted by the reference.
 */
import { z } from "zod";
import { dnsPurposes, Scope } from "./buckets.ts";
import { type ErrorCode, errors } from "./errors.ts";
import { Address, Campaign, Domain, Traffic } from "./values.ts";

export const limits = {
  recipientsMax: 50,
  batchMessagesMax: 500,
  batchBytesMax: 52_428_800,
  requestBytesMax: 41_943_040,
  messageBytesMax: 31_457_280,
  attachmentsMax: 20,
  attachmentBytesMax: 26_214_400,
  headersMax: 50,
  tagsMax: 10,
  metadataKeysMax: 20,
  metadataValueCharsMax: 500,
  idempotencyKeyCharsMax: 256,
  scheduleDaysMax: 30,
  expiryDays: 5,
} as const;

const lineBreak = /[\r\n\0]/;
const oneLine = (chars: number) =>
  z
    .string()
    .max(chars)
    .refine((text) => !lineBreak.test(text), "must not contain line breaks or NUL");

/** `name@example.com` or `Name <name@example.com>`. */
export const Mailbox = oneLine(500).transform((text, context) => {
  // No two parts of it match the same spaces: with fifty recipients of 500 spaces that took seconds.
  const named = /^(?:"((?:[^"\\]|\\.)*)"\s*|([^<>"]*))<([^<>]+)>$/.exec(text.trim());
  const parsed = Address.safeParse((named?.[3] ?? text).trim());
  if (!parsed.success) {
    context.addIssue({ code: "custom", message: "must be name@example.com or Name <name@example.com>" });
    return z.NEVER;
  }
  const name = (named?.[1]?.replace(/\\(.)/g, "$1") ?? named?.[2] ?? "").trim();
  return name === "" ? { address: parsed.data } : { address: parsed.data, name };
});
export type Mailbox = { address: Address; name?: string };

const mailboxes = z
  .union([Mailbox.transform((one) => [one]), z.array(Mailbox).max(limits.recipientsMax)])
  .describe("One mailbox or a list");

/** Headers that Tyto writes itself, or that change how a message is routed or judged. */
export const reservedHeaders: ReadonlySet<string> = new Set([
  "from",
  "sender",
  "to",
  "cc",
  "bcc",
  "reply-to",
  "subject",
  "date",
  "message-id",
  "return-path",
  "received",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "content-id",
  "dkim-signature",
  "arc-seal",
  "arc-message-signature",
  "arc-authentication-results",
  "authentication-results",
  "received-spf",
  "delivered-to",
  "resent-from",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "resent-date",
  "resent-message-id",
  "resent-sender",
  "errors-to",
  "disposition-notification-to",
  "feedback-id",
  "x-tyto-message",
]);

export const CustomHeaders = z
  .record(
    z.string().regex(/^[A-Za-z0-9-]{1,76}$/, "must be a header name (letters, digits, hyphens)"),
    oneLine(2_000).refine(
      (text) => text.split(/\s/).every((word) => word.length <= 900),
      "must not contain a word of more than 900 characters, because a line cannot be folded inside it (RFC 5322 §2.1.1)",
    ),
  )
  .refine(
    (headers) => Object.keys(headers).length <= limits.headersMax,
    `at most ${limits.headersMax} headers`,
  )
  .superRefine((headers, context) => {
    for (const name of Object.keys(headers))
      if (reservedHeaders.has(name.toLowerCase()))
        context.addIssue({
          code: "custom",
          path: [name],
          message: "is written by Tyto and cannot be set here",
        });
  });

export const Attachment = z.object({
  filename: oneLine(200).min(1),
  content: z.base64().describe("The file, base64"),
  content_type: oneLine(100)
    .regex(/^[\w.+-]+\/[\w.+-]+(\s*;[\t -~]*)?$/, "must be a media type such as application/pdf, in ASCII")
    // Their parts may not be base64 (RFC 2045 §6.4), which every attachment here is.
    .refine(
      (type) => !/^(multipart|message)\//i.test(type),
      "must not be multipart/* or message/*; attach a message as application/octet-stream",
    )
    .optional(),
  content_id: z
    .string()
    .regex(/^[A-Za-z0-9._@-]{1,100}$/)
    .optional()
    .describe("Set it to show the file inline as cid:<content_id>"),
});

export const SendRequest = z
  .object({
    from: Mailbox,
    to: mailboxes.refine((list) => list.length > 0, "needs at least one recipient"),
    cc: mailboxes.optional(),
    bcc: mailboxes.optional(),
    reply_to: mailboxes.optional(),
    subject: oneLine(998),
    html: z.string().max(5_242_880).optional(),
    text: z.string().max(5_242_880).optional(),
    headers: CustomHeaders.optional(),
    attachments: z.array(Attachment).max(limits.attachmentsMax).optional(),
    tags: z
      .array(z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/, "letters, digits and _ . : - only"))
      .max(limits.tagsMax)
      .optional(),
    metadata: z
      // Convex takes no record key that begins with an underscore.
      .record(
        z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "must begin with a letter or digit"),
        z.string().max(limits.metadataValueCharsMax),
      )
      .refine(
        (data) => Object.keys(data).length <= limits.metadataKeysMax,
        `at most ${limits.metadataKeysMax} keys`,
      )
      .optional(),
    scheduled_at: z.iso
      .datetime({ offset: true })
      .optional()
      .describe("Send not before this time, at most 30 days ahead"),
    unsubscribe: z
      .boolean()
      .optional()
      .describe(
        "For newsletters and everything else that people can do without: each recipient's copy gets List-Unsubscribe with one click (RFC 8058) and complaint feedback (RFC 9477), and who uses it is suppressed. Off by default. A List-Unsubscribe header of your own is left as it is.",
      ),
    traffic: Traffic.optional().describe(
      "What the message is: transactional (the recipient waits for it) or bulk (newsletters, announcements). Bulk mail gives way to transactional mail, and must let its recipients unsubscribe with one click. Default: bulk when `unsubscribe` is set, else transactional.",
    ),
    campaign: Campaign.optional().describe(
      "A name for messages that belong together. Campaigns get equal shares of each site, and can be held, counted and judged by themselves.",
    ),
    require_tls: z
      .boolean()
      .optional()
      .describe(
        "true: the message travels encrypted to a proven server that promises to do the same (REQUIRETLS, RFC 8689), or it bounces. Few servers offer that. false: it is rather delivered than encrypted, whatever the recipient's domain demands (the header TLS-Required: No). Default: as the recipient's domain demands (DANE, MTA-STS), else encrypted where possible.",
      ),
  })
  .strict()
  .refine((mail) => mail.html !== undefined || mail.text !== undefined, {
    path: ["text"],
    message: "give text, html or both",
  });
export type SendRequest = z.infer<typeof SendRequest>;

/** Where a message stands. `partial`: its recipients ended differently. */
export const messageStatuses = [
  "scheduled",
  "accepted",
  "held",
  "sending",
  "deferred",
  "delivered",
  "partial",
  "bounced",
  "suppressed",
  "refused",
  "cancelled",
] as const;
export const MessageStatus = z.enum(messageStatuses);
export type MessageStatus = z.infer<typeof MessageStatus>;

/** RFC 9457 problem details; every error of the API has this shape, as application/problem+json. */
export const ProblemView = z.object({
  type: z.string().describe("urn:tyto:error:<code>"),
  title: z.string(),
  status: z.number().int(),
  code: z.enum(Object.keys(errors) as [ErrorCode, ...ErrorCode[]]),
  detail: z.string().optional().describe("What to do about it"),
  instance: z.string().optional().describe("The request id, as in X-Request-Id"),
  errors: z.array(z.object({ path: z.string(), problem: z.string() })).optional(),
});

export const SendAnswer = z.object({
  id: z.string(),
  status: z.enum(["accepted", "scheduled"]),
  recipients: z.array(z.object({ address: z.string(), status: z.enum(["accepted", "suppressed"]) })),
  /** What may keep the mail from arriving, such as DNS records that are not published yet. */
  warnings: z.array(z.string()),
});
export type SendAnswer = z.infer<typeof SendAnswer>;

/**
 * One item of a batch. Items stand on their own: those that are in order are accepted, the others carry the problem that
 * a request with only this item would have got.
 */
export const BatchResult = z.union([
  SendAnswer.extend({ index: z.number().int() }),
  z.object({ index: z.number().int(), status: z.literal("failed"), error: ProblemView }),
]);
export type BatchResult = z.infer<typeof BatchResult>;

/** `results` has one entry per item, in the order of the request. */
export const BatchAnswer = z.object({
  accepted: z.number().int(),
  failed: z.number().int(),
  results: z.array(BatchResult),
});
export type BatchAnswer = z.infer<typeof BatchAnswer>;

export const TimelineEntry = z.object({
  at: z.iso.datetime(),
  event: z.string(),
  recipient: z.string().optional(),
  reply: z.string().optional(),
  detail: z.record(z.string(), z.unknown()).optional(),
});

export const EmailView = z.object({
  id: z.string(),
  status: MessageStatus,
  from: z.string(),
  subject: z.string(),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.string()),
  created_at: z.iso.datetime(),
  scheduled_at: z.iso.datetime().optional(),
  recipients: z.array(
    z.object({
      address: z.string(),
      role: z.enum(["to", "cc", "bcc"]),
      status: MessageStatus,
      attempts: z.number(),
      reason: z.string().optional(),
      reply: z.string().optional(),
    }),
  ),
});
export type EmailView = z.infer<typeof EmailView>;
export const EmailDetail = EmailView.extend({ timeline: z.array(TimelineEntry) });
export type EmailDetail = z.infer<typeof EmailDetail>;

/** A row of the list of messages: `to` holds the first recipients, `recipient_count` all of them. */
export const EmailSummary = z.object({
  id: z.string(),
  status: MessageStatus,
  from: z.string(),
  to: z.array(z.string()),
  recipient_count: z.number().int(),
  subject: z.string(),
  tags: z.array(z.string()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  scheduled_at: z.iso.datetime().optional(),
  last_reply: z.string().optional(),
});
export type EmailSummary = z.infer<typeof EmailSummary>;

/** A page of a list, newest first. `next_cursor` is the `cursor` of the next page; `null` on the last one. */
export const pageOf = <Row extends z.ZodType>(row: Row) =>
  z.object({ data: z.array(row), next_cursor: z.string().nullable() });

export const SuppressionView = z.object({
  address: z.string(),
  cause: z.string(),
  since: z.iso.datetime(),
  message_id: z.string().optional(),
  evidence: z.string().optional(),
});
export type SuppressionView = z.infer<typeof SuppressionView>;
export const SuppressionAdd = z.object({ address: Address }).strict();

/** `support@example.com`, or `*@example.com` for every address of a domain. */
export const InboxPattern = z
  .string()
  .max(254)
  .transform((text) => text.trim().toLowerCase())
  .refine((text) => {
    const at = text.lastIndexOf("@");
    return text.startsWith("*@")
      ? Domain.safeParse(text.slice(at + 1)).success
      : Address.safeParse(text).success && !text.slice(0, at).includes("*");
  }, "must be name@example.com or *@example.com");
export const InboxAdd = z.object({ pattern: InboxPattern }).strict();
export const InboxView = z.object({ pattern: z.string(), since: z.iso.datetime() });
export type InboxView = z.infer<typeof InboxView>;

/** One DNS record to publish, and what was found when it was last looked up. */
export const DnsRecordView = z.object({
  purpose: z.enum(dnsPurposes),
  type: z.enum(["TXT", "MX"]),
  name: z.string(),
  value: z.string(),
  required: z.boolean(),
  stage: z
    .enum(["next", "old"])
    .optional()
    .describe(
      "Of DKIM keys. next: publish it, and it signs once all next keys are seen in DNS. old: it signs no more, and stays published until `keep_until` of the domain's rotation for mail that is under way. Absent: it signs.",
    ),
  state: z.enum(["unchecked", "found", "missing", "different", "unreachable"]),
  found: z.array(z.string()),
});
export type DnsRecordView = z.infer<typeof DnsRecordView>;

export const DomainView = z.object({
  domain: z.string(),
  state: z.enum(["preparing", "pending", "verified", "failing"]),
  created_at: z.iso.datetime(),
  checked_at: z.iso.datetime().optional(),
  records: z.array(DnsRecordView),
  rotation: z
    .object({
      started_at: z.iso.datetime().optional().describe("Next keys wait to be published since then"),
      keep_until: z.iso
        .datetime()
        .optional()
        .describe("Records of old keys have to stay published until then, and can be removed after it"),
    })
    .optional()
    .describe("Present while there are next or old keys"),
});
export type DomainView = z.infer<typeof DomainView>;
export const DomainAdd = z.object({ domain: Domain }).strict();

export const ApiKeyCreate = z.object({ name: oneLine(80).min(1), scopes: z.array(Scope).min(1) }).strict();
export const ApiKeyView = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  scopes: z.array(Scope),
  created_at: z.iso.datetime(),
  last_used_at: z.iso.datetime().optional(),
});
export type ApiKeyView = z.infer<typeof ApiKeyView>;
/** The answer to a new key: the only time that `key` is shown. */
export const ApiKeyCreated = ApiKeyView.extend({ key: z.string() });

/** First start: the administrator's account. */
export const SetupRequest = z
  .object({
    name: oneLine(80).min(1),
    email: Address,
    password: z.string().min(12, "must have at least 12 characters").max(128),
  })
  .strict();
export const SessionView = z.object({
  user: z.object({ id: z.string(), name: z.string(), email: z.string() }),
});
/** A token for Convex; `expiresAt` in milliseconds since 1970. */
export const TokenView = z.object({ token: z.string(), expiresAt: z.number().int() });

/** A received message, opened. Everything but `bytes`, `is_whole` and `has_remote_images` is its sender's claim. */
export const InboundContents = z.object({
  from: z.string().optional(),
  to: z.string().optional(),
  cc: z.string().optional(),
  reply_to: z.string().optional(),
  subject: z.string().optional(),
  text: z.string(),
  is_text_of_html: z.boolean().describe("There is no plain text; this is what the HTML says"),
  has_html: z.boolean(),
  has_remote_images: z.boolean(),
  headers: z.array(z.object({ name: z.string(), value: z.string() })),
  attachments: z.array(z.object({ name: z.string(), type: z.string(), bytes: z.number().int() })),
  bytes: z.number().int().describe("Of the whole message as it came"),
  is_whole: z.boolean().describe("False: it is longer than what was read of it"),
});
export type InboundContents = z.infer<typeof InboundContents>;
/** What the frame around a received page may do: open a link in a tab of its own. No scripts, no forms, no origin. */
export const frameSandbox = "allow-popups allow-popups-to-escape-sandbox";
