/** The contracts' schemas with the names and examples that the reference shows. */
import { z } from "@hono/zod-openapi";
import {
  ApiKeyCreate as ApiKeyCreateContract,
  ApiKeyCreated as ApiKeyCreatedContract,
  ApiKeyView,
  BatchAnswer as BatchAnswerContract,
  DomainAdd as DomainAddContract,
  DomainView,
  EmailDetail as EmailDetailContract,
  EmailSummary,
  HoldList,
  HoldReleased,
  HoldView,
  InboundContents as InboundContentsView,
  InboxAdd as InboxAddContract,
  InboxPattern as InboxPatternContract,
  InboxView,
  limits,
  MeasureView,
  MessageStatus,
  PoolList,
  ProblemView,
  pageOf,
  QueueActed,
  QueueHeld,
  QueueReleased,
  QueueView,
  RuleList,
  RuleTrialAnswer,
  SendAnswer as SendAnswerContract,
  SendRequest as SendRequestContract,
  SessionView,
  SetupRequest as SetupRequestContract,
  SiteDetail,
  SiteList,
  SuppressionAdd as SuppressionAddContract,
  SuppressionView,
  TokenView,
} from "@tyto/contracts";

const exampleId = "01ks2m8h3nvbx7r3c1yq0w9d4t";

export const Problem = ProblemView.meta({
  id: "Problem",
  description: "RFC 9457 problem details; every error has this shape",
  example: {
    type: "urn:tyto:error:request.invalid",
    title: "The request is not valid",
    status: 400,
    code: "request.invalid",
    instance: "6f1c0a52-2f0f-4f5c-9d6e-0a1a8b1c2d3e",
    errors: [{ path: "to[0]", problem: "must be name@example.com or Name <name@example.com>" }],
  },
});

export const SendRequest = SendRequestContract.meta({
  id: "SendRequest",
  description: [
    "A message. Limits:",
    `${limits.recipientsMax} recipients over to, cc and bcc;`,
    `${limits.attachmentsMax} attachments of ${limits.attachmentBytesMax} bytes each;`,
    `${limits.messageBytesMax} bytes composed; ${limits.requestBytesMax} bytes of request;`,
    `${limits.headersMax} custom headers; ${limits.tagsMax} tags; ${limits.metadataKeysMax} metadata keys of ${limits.metadataValueCharsMax} characters;`,
    `scheduled_at up to ${limits.scheduleDaysMax} days ahead.`,
  ].join(" "),
  example: {
    from: "Acme <hello@acme.example>",
    to: ["Bob <bob@example.org>"],
    reply_to: "support@acme.example",
    subject: "Your order has shipped",
    text: "Hello Bob, it is on its way.",
    html: "<p>Hello Bob, it is on its way.</p>",
    headers: { "X-Order": "4711" },
    tags: ["order"],
    metadata: { order_id: "4711" },
  },
});

export const SendAnswer = SendAnswerContract.meta({
  id: "SendAnswer",
  example: {
    id: exampleId,
    status: "accepted",
    recipients: [{ address: "bob@example.org", status: "accepted" }],
    warnings: [],
  },
});

/** Items are judged one by one, so the request as a whole is any list. */
export const BatchRequest = z
  .array(z.unknown())
  .min(1)
  .max(limits.batchMessagesMax)
  .openapi({
    type: "array",
    items: { $ref: "#/components/schemas/SendRequest" },
    minItems: 1,
    maxItems: limits.batchMessagesMax,
    description: `Up to ${limits.batchMessagesMax} messages, ${limits.batchBytesMax} bytes together`,
  });

export const BatchAnswer = BatchAnswerContract.meta({
  id: "BatchAnswer",
  example: {
    accepted: 1,
    failed: 1,
    results: [
      {
        index: 0,
        id: exampleId,
        status: "accepted",
        recipients: [{ address: "bob@example.org", status: "accepted" }],
        warnings: [],
      },
      {
        index: 1,
        status: "failed",
        error: {
          type: "urn:tyto:error:request.invalid",
          title: "The request is not valid",
          status: 400,
          code: "request.invalid",
          errors: [{ path: "to", problem: "needs at least one recipient" }],
        },
      },
    ],
  },
});

export const EmailDetail = EmailDetailContract.meta({ id: "Email" });
export const EmailPage = pageOf(EmailSummary.meta({ id: "EmailSummary" })).meta({ id: "EmailPage" });
export const Cancelled = z
  .object({ id: z.string(), status: z.literal("cancelled") })
  .meta({ id: "CancelAnswer", example: { id: exampleId, status: "cancelled" } });

const pageSizeMax = 100;
const pageSizeDefault = 25;
const pageQuery = {
  cursor: z.string().max(320).optional().describe("next_cursor of the page before"),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(pageSizeMax)
    .default(pageSizeDefault)
    .describe(`Rows of a page, at most ${pageSizeMax}`),
};
export const EmailQuery = z.object({
  status: MessageStatus.optional(),
  recipient: z.string().max(254).optional().describe("An address, in full"),
  tag: z.string().max(64).optional(),
  domain: z.string().max(253).optional().describe("The sender's domain"),
  ...pageQuery,
});
export const PageQuery = z.object(pageQuery);

export const Suppression = SuppressionView.meta({ id: "Suppression" });
export const SuppressionPage = pageOf(Suppression).meta({ id: "SuppressionPage" });
export const SuppressionAdd = SuppressionAddContract.meta({
  id: "SuppressionAdd",
  example: { address: "bob@example.org" },
});

export const DomainShown = DomainView.meta({ id: "Domain" });
export const DomainList = z.object({ data: z.array(DomainShown) }).meta({ id: "DomainList" });
export const DomainAdd = DomainAddContract.meta({ id: "DomainAdd", example: { domain: "acme.example" } });

export const InboxPattern = InboxPatternContract;
export const Inbox = InboxView.meta({
  id: "Inbox",
  example: { pattern: "support@acme.example", since: "2026-01-05T12:00:00.000Z" },
});
export const InboxList = z.object({ data: z.array(Inbox) }).meta({ id: "InboxList" });
export const InboxAdd = InboxAddContract.meta({
  id: "InboxAdd",
  example: { pattern: "support@acme.example" },
});

export const ApiKey = ApiKeyView.meta({ id: "ApiKey" });
export const ApiKeyList = z.object({ data: z.array(ApiKey) }).meta({ id: "ApiKeyList" });
export const ApiKeyCreate = ApiKeyCreateContract.meta({
  id: "ApiKeyCreate",
  example: { name: "shop", scopes: ["emails:send"] },
});
export const ApiKeyCreated = ApiKeyCreatedContract.meta({ id: "ApiKeyCreated" });

export const SetupState = z.object({ needed: z.boolean() }).meta({ id: "SetupState" });
export const SetupRequest = SetupRequestContract.meta({ id: "SetupRequest" });
export const Session = SessionView.meta({ id: "Session" });
export const Token = TokenView.meta({ id: "Token" });
export const InboundContents = InboundContentsView.meta({ id: "InboundContents" });

export const Queue = QueueView.meta({ id: "Queue" });
export const QueueActedShown = QueueActed.meta({ id: "QueueActed" });
export const QueueHeldShown = QueueHeld.meta({ id: "QueueHeld" });
export const QueueReleasedShown = QueueReleased.meta({ id: "QueueReleased" });
export const HoldShown = HoldView.meta({
  id: "Hold",
  example: {
    key: "site:google",
    scope: "site",
    id: "google",
    why: "asked to slow down",
    by: "root",
    since: "2026-01-05T12:00:00.000Z",
  },
});
export const MeasureShown = MeasureView.meta({ id: "Measure" });
export const HoldsShown = HoldList.meta({ id: "HoldList" });
export const HoldReleasedShown = HoldReleased.meta({ id: "HoldReleased" });
export const SitesShown = SiteList.meta({ id: "SiteList" });
export const SiteShown = SiteDetail.meta({ id: "Site" });
export const PoolsShown = PoolList.meta({ id: "PoolList" });
export const RulesShown = RuleList.meta({ id: "RuleList" });
export const RuleTrialShown = RuleTrialAnswer.meta({ id: "RuleTrial" });
