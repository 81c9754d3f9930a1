/** Operation as the HTTP API shows it: the queue, sites, pools, rules, holds and live traces, in snake_case with ISO times. */
import { z } from "zod";
import {
  BreakerState,
  canBeHeldAtSite,
  FlowState,
  LastMinute,
  Measure,
  QueueAction,
  QueueGrouping,
  Rate,
  RuleDefinition,
  siteLimitBounds,
} from "./control.ts";
import { Reason } from "./reasons.ts";
import { Address, Campaign, Domain, MessageId, OrganizationId, Traffic } from "./values.ts";

const time = z.iso.datetime();
const count = z.number().int().nonnegative();

/** How an entry of the queue is chosen; all given conditions must hold. */
const conditions = {
  site: z
    .string()
    .max(253)
    .optional()
    .describe(
      "A site as GET /v1/sites names it: a provider (`google`) or a mail server; `*` at its end stands for anything",
    ),
  domain: Domain.optional().describe("The recipients' domain"),
  organization: OrganizationId.optional(),
  campaign: Campaign.optional(),
  traffic: Traffic.optional(),
  recipient: Address.optional(),
  message_id: MessageId.optional(),
  older_than_s: z.coerce
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe("Accepted at least so many seconds ago"),
  reason: Reason.optional().describe("Why the last attempt failed, such as `rate.limited`"),
};

export const QueueFilterView = z.object(conditions).strict();
export type QueueFilterView = z.infer<typeof QueueFilterView>;

const rowsDefault = 200;
export const QueueQuery = z.object({
  by: QueueGrouping.default("site").describe("What one row is"),
  ...conditions,
  limit: z.coerce.number().int().min(1).max(2_000).default(rowsDefault).describe("Rows, the deepest first"),
});

const waiting = {
  entries: count.describe("Recipients that wait"),
  ready: count.describe("Due now"),
  later: count.describe("Waiting for their time"),
  oldest_at: time.optional().describe("When the oldest was accepted"),
  next_at: time.optional().describe("When the next one becomes due"),
};

const flow = {
  state: FlowState.describe(
    "`slowed`: below the usual limit; `suspended`: until a time; `held`: until a person releases it",
  ),
  until: time.optional(),
  why: z.string().optional(),
};

export const QueueRow = z.object({
  key: z.string().describe("The site, organisation or campaign; empty for mail without a campaign"),
  provider: z.string().optional(),
  ...waiting,
  ...flow,
  why: flow.why.describe(
    "Why it waits: what stops the site, or else what the last of it heard that could not go; by organisation or campaign, the same of the sites that most of it waits for",
  ),
  connections: count,
  in_hand: count.describe("Being sent at this moment"),
  last_minute: LastMinute,
  rate_per_minute_max: z
    .number()
    .optional()
    .describe("By site: messages per minute from all our addresses together; absent where one has no limit"),
});
export type QueueRow = z.infer<typeof QueueRow>;

export const QueueView = z.object({
  counted_at: time,
  by: QueueGrouping,
  processes: count.describe("mta processes that answered"),
  total: z.object({ ...waiting, in_hand: count, connections: count, last_minute: LastMinute }),
  classes: z.array(z.object({ traffic: Traffic, ...waiting })),
  rows: z.array(QueueRow),
  rest: z
    .object({ rows: count, ...waiting })
    .optional()
    .describe("Rows beyond the limit, together"),
});
export type QueueView = z.infer<typeof QueueView>;

const actionBase = {
  filter: QueueFilterView.refine(
    (filter) => Object.values(filter).some((value) => value !== undefined),
    "needs at least one condition",
  ),
  dry_run: z.boolean().default(false).describe("Only count, and show the first ones"),
  cursor: z
    .string()
    .max(40)
    .optional()
    .describe("next_cursor of the answer before: one request does a bounded part"),
};

export const QueueRequeue = z.object(actionBase).strict();
export const QueueBounce = z
  .object({
    ...actionBase,
    why: z.string().min(1).max(300).describe("Goes into the bounce that the sender sees"),
  })
  .strict();
export const QueueRebind = z
  .object({ ...actionBase, pool: z.string().min(1).max(100).describe("A pool as GET /v1/pools names it") })
  .strict();

const forS = z.number().int().min(1).max(31_536_000).optional();
export const QueueHold = z
  .object({
    ...actionBase,
    why: z.string().min(1).max(300),
    for_s: forS.describe(
      "Ends by itself after so many seconds. Entries that are put off come back after 5 days at the latest",
    ),
  })
  .strict();
export const QueueRelease = z.object(actionBase).strict();

export const QueueActed = z.object({
  action: QueueAction,
  dry_run: z.boolean(),
  matched: count.describe("Entries that the conditions hold for"),
  touched: count,
  in_hand: count.describe("Being sent at this moment, and therefore left alone"),
  sample: z.array(
    z.object({
      message_id: z.string(),
      recipient: z.string(),
      organization_id: z.string(),
      campaign: z.string().optional(),
      site: z.string(),
      attempt: count,
      accepted_at: time,
      next_at: time.optional(),
    }),
  ),
  next_cursor: z.string().nullable().describe("Go on with this cursor; `null` when everything was looked at"),
});
export type QueueActed = z.infer<typeof QueueActed>;
/** The parts of one action, put together in their order. */
export function sumActed(before: QueueActed | undefined, part: QueueActed): QueueActed {
  if (before === undefined) return part;
  return {
    ...part,
    matched: before.matched + part.matched,
    touched: before.touched + part.touched,
    in_hand: before.in_hand + part.in_hand,
    sample: before.sample,
  };
}

const holdScope = z.enum(["site", "domain", "organization", "campaign", "everything"]);
export const HoldView = z.object({
  key: z.string(),
  scope: holdScope,
  id: z.string(),
  site: z.string().optional().describe("It is held at this site alone"),
  why: z.string(),
  by: z.string().describe("A person's email address, `key:<name>`, `root`, `rule:<id>` or `breaker:<id>`"),
  since: time,
  until: time.optional(),
});
export type HoldView = z.infer<typeof HoldView>;
export const MeasureView = z.object({
  key: z.string(),
  action: Measure.shape.action.describe(
    "`switch-pool`: mail of `egress` to the site leaves by `pool`; `bounce`: what the rule matches there is given up; `limit`: an operator set `rate`, `connections_max` or both",
  ),
  rule: z.string().optional().describe("Absent for `limit`"),
  by: z.string().optional().describe("Who set it, for `limit`"),
  rate: z.string().optional().describe("From each address of ours, over all mta processes"),
  connections_max: count.optional(),
  site: z.string(),
  egress: z.string().optional(),
  pool: z.string().optional(),
  why: z.string(),
  since: time,
  until: time,
});
export type MeasureView = z.infer<typeof MeasureView>;
export const HoldList = z.object({
  data: z.array(HoldView),
  measures: z
    .array(MeasureView)
    .default([])
    .describe(
      "What rules do with the mail of sites, and limits that operators set, until a time; DELETE /v1/holds/{key} ends one, too",
    ),
});
export const HoldAdd = z
  .object({
    scope: holdScope,
    id: z
      .string()
      .max(253)
      .default("*")
      .describe(
        "The site, domain, organisation, or campaign (`<organisation>/<campaign>`); `*` for everything",
      ),
    site: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("The one site at which an organisation or campaign is held; elsewhere its mail goes on"),
    why: z.string().min(1).max(300),
    for_s: forS.describe("Ends by itself after so many seconds"),
  })
  .strict()
  .refine(({ scope, id }) => (scope === "everything") === (id === "*") && id !== "", {
    path: ["id"],
    message: "names what is held; only everything is held as *",
  })
  .refine(({ scope, site }) => site === undefined || canBeHeldAtSite(scope), {
    path: ["site"],
    message: "goes with an organization or a campaign only",
  })
  .refine(({ site }) => site?.endsWith("*") !== true, {
    path: ["site"],
    message: "must be one site, without *",
  });
export const HoldReleased = z.object({
  key: z.string(),
  was_held: z.boolean(),
  asked: z
    .boolean()
    .optional()
    .describe(
      "The site was left alone: the next message asks it at once, and what waited follows when it takes mail",
    ),
});

/** A single site, domain, organisation or campaign, or one of the latter at one site, is held as such, mail to come included; other conditions put entries off. */
export const QueueHeld = z.object({ hold: HoldView.optional(), entries: QueueActed.optional() });
export const QueueReleased = z.object({ hold: HoldReleased.optional(), entries: QueueActed.optional() });

export const SiteLimitView = z.object({
  egress: z.string(),
  ...flow,
  connections: count.optional(),
  connections_max: count.optional(),
  rate_per_minute: z.number().optional(),
  rate_per_minute_max: z.number().optional(),
  messages_per_connection: count.optional(),
  pool: z
    .string()
    .optional()
    .describe("A rule has mail of this address to the site leave by this pool; `why` tells whether it does"),
});

export const SiteRow = z.object({
  site: z.string(),
  provider: z.string().optional(),
  ...flow,
  connections: count,
  in_hand: count,
  last_minute: LastMinute,
  limits: z.array(SiteLimitView),
});
export type SiteRow = z.infer<typeof SiteRow>;
export const SiteList = z.object({ processes: count, data: z.array(SiteRow) });

export const ReplyRow = z.object({
  at: time,
  outcome: z.enum(["delivered", "deferred", "bounced"]),
  reason: z.string().optional(),
  reply: z.string().optional(),
  mx: z.string().optional(),
  ip: z.string().optional(),
  egress: z.string().optional(),
  domain: z.string(),
  times: count,
});

export const SiteDetail = z.object({
  domain: z.string(),
  site: z.string().optional(),
  provider: z.string().optional(),
  trouble: z.string().optional().describe("Why there is no way to the domain"),
  hosts: z.array(
    z.object({
      name: z.string(),
      port: count,
      preference: count.optional(),
      addresses: z.array(z.string()),
      trouble: z.string().optional(),
      dane: z.string().optional(),
    }),
  ),
  policies: z.array(
    z.object({ name: z.string(), say: z.string(), mode: z.string().optional(), until: time.optional() }),
  ),
  state: SiteRow.optional().describe("Absent when no server there was asked since the mta started"),
  ceiling: z
    .object({ rate_per_minute: z.number().optional(), connections: count })
    .optional()
    .describe(
      "The most that Tyto gives the site by itself from each address of ours; more can be set only with `above_ceiling`",
    ),
  waiting: z.object({
    ...waiting,
    why: z
      .string()
      .optional()
      .describe(
        "What the last of it heard that could not go, where the site's state does not say why it waits",
      ),
  }),
  replies: z.array(ReplyRow).describe("The last ones, newest first; equal ones are counted"),
  holds: z.array(HoldView),
  measures: z
    .array(MeasureView)
    .default([])
    .describe("What rules do with its mail, and limits that an operator set, until a time"),
});

export const SiteLimitSet = z
  .object({
    rate: Rate.optional().describe(
      "Messages from each address of ours, over all mta processes: `60/min`, `2/s` or `500/h`",
    ),
    connections: Measure.shape.connectionsMax.describe(
      "Connections at a time from each address of ours, over all mta processes",
    ),
    for_s: z
      .number()
      .int()
      .min(siteLimitBounds.forSMin)
      .max(siteLimitBounds.forSMax)
      .describe("Ends by itself after so many seconds: from a minute to a day"),
    why: z.string().max(300).default("").describe("For whoever finds it so"),
    above_ceiling: z
      .boolean()
      .default(false)
      .describe("Also more than Tyto ever gives the site by itself: its profile, or `MTA_SITE_LIMITS`"),
  })
  .strict()
  .refine(({ rate, connections }) => rate !== undefined || connections !== undefined, {
    path: ["rate"],
    message: "needs a rate, connections, or both",
  });
export type SiteDetail = z.infer<typeof SiteDetail>;

const warming = {
  say: z.string().describe("Such as: day 6 of 30, 412 of 1,100 used, slowed because Yahoo deferred 12 %"),
  day: count,
  days: count,
  used: count,
  cap: count.optional(),
};
export const EgressView = z.object({
  egress: z.string(),
  local_ip: z.string().optional(),
  ehlo_name: z.string(),
  proxy: z.string().optional(),
  weight: z.number(),
  state: z.enum(["in", "out"]).describe("`out`: not used for now, see `why`"),
  why: z.string().optional(),
  connections: count,
  last_minute: LastMinute,
  checks: z.array(
    z.object({ name: z.string(), ok: z.boolean(), say: z.string(), checked_at: time.optional() }),
  ),
  warming: z
    .object({
      ...warming,
      is_paused: z.boolean(),
      providers: z.array(z.object({ provider: z.string(), ...warming })),
    })
    .optional(),
});
export const PoolView = z.object({
  pool: z.string(),
  is_default: z.boolean(),
  egresses: z.array(EgressView),
});
export type PoolView = z.infer<typeof PoolView>;
export const PoolList = z.object({ processes: count, data: z.array(PoolView) });

export const RuleView = z.object({
  rule: z.string(),
  origin: z.enum(["shipped", "own"]),
  say: z.string(),
  is_on: z.boolean(),
  definition: z.record(z.string(), z.unknown()),
  fired: count,
  fired_at: time.optional(),
});
export type RuleView = z.infer<typeof RuleView>;
export const BreakerView = z.object({
  scope: BreakerState.shape.scope,
  id: z.string(),
  state: BreakerState.shape.state,
  why: z.string().optional(),
  bounce_rate: z.number().optional(),
  complaint_rate: z.number().optional(),
  since: time.optional(),
});
export const RuleList = z.object({ data: z.array(RuleView), breakers: z.array(BreakerView) });
export const RuleTrialRequest = z
  .object({
    hours: z.number().min(0.1).max(336).default(24).describe("How far back events are read"),
    rules: z
      .array(RuleDefinition)
      .max(100)
      .optional()
      .describe("Rules to try; without them those that are in force"),
  })
  .strict();
export const RuleTrialAnswer = z.object({
  events: count,
  trials: z.array(
    z.object({
      rule: z.string(),
      matched: count,
      fired: count,
      actions: z.array(z.object({ at: time, say: z.string() })),
    }),
  ),
  problems: z.array(z.string()),
});
export type RuleTrialAnswer = z.infer<typeof RuleTrialAnswer>;

/**
 * One event of a live trace (`text/event-stream`): `event: line` with this as data; `event: dropped` tells how many lines
 * were left out, `event: end` why it is over.
 */
export const TraceLineView = z.object({
  at: time,
  process: z.string(),
  session: z.string(),
  host: z.string(),
  ip: z.string(),
  egress: z.string().optional(),
  side: z.enum(["<", ">", "*"]).describe("`<` the server says, `>` we say, `*` what happened"),
  text: z.string(),
});
export type TraceLineView = z.infer<typeof TraceLineView>;
