/**
 * Questions to running processes, and their answers, over core NATS: the gateway asks at `ctl.<name>`, the mta answers at
 * `ctl.answer.<id>`. Nothing of it is stored. The HTTP API shows the same in `operation.ts`, in snake_case and with ISO times;
 * there `…AtMs` is `…_at`, `untilMs` is `until` and `sinceMs` is `since`.
 */
import { z } from "zod";
import { Reason } from "./reasons.ts";
import {
  Address,
  Campaign,
  DeliveryId,
  MessageId,
  OrganizationId,
  TimeMs,
  Traffic,
  traffics,
} from "./values.ts";

const words = z.string().max(500);
const name = z.string().max(253);
const count = z.number().int().nonnegative();

/** How fast a site may be sent to now: `slowed` is below its usual limit, `suspended` waits until a time, `held` for a person. */
export const flowStates = ["open", "slowed", "suspended", "held"] as const;
export const FlowState = z.enum(flowStates);
export type FlowState = z.infer<typeof FlowState>;

/** Outcomes of the last 60 s. */
export const LastMinute = z.object({ delivered: count, deferred: count, bounced: count });
export type LastMinute = z.infer<typeof LastMinute>;
export const noTraffic: LastMinute = { delivered: 0, deferred: 0, bounced: 0 };

/**
 * Which entries of the queue are meant: those that all given fields hold for. A field that is absent holds for every entry.
 * `reason`: why the last attempt failed.
 */
export const QueueFilter = z
  .object({
    /** A site's id, or its beginning with a `*` behind it. */
    site: name.optional(),
    /** The recipients' domain. */
    domain: name.optional(),
    organizationId: OrganizationId.optional(),
    campaign: Campaign.optional(),
    traffic: Traffic.optional(),
    recipient: Address.optional(),
    messageId: MessageId.optional(),
    /** Accepted before this time. */
    acceptedBeforeMs: TimeMs.optional(),
    reason: Reason.optional(),
  })
  .strict();
export type QueueFilter = z.infer<typeof QueueFilter>;

export const queueGroupings = ["site", "organization", "campaign"] as const;
export const QueueGrouping = z.enum(queueGroupings);
export type QueueGrouping = z.infer<typeof QueueGrouping>;

/** So many sites are told of each organisation and campaign. */
export const queueSitesMax = 3;

/** How many entries wait, which of them are due, and since and until when. */
export const Waiting = z.object({
  entries: count,
  /** Due now. */
  ready: count,
  /** Waiting for their time. */
  later: count,
  /** When the oldest was accepted. */
  oldestAtMs: TimeMs.optional(),
  /** When the next one of those that wait becomes due. */
  nextAtMs: TimeMs.optional(),
});
export type Waiting = z.infer<typeof Waiting>;

/** One attempt's end as an operator reads it. */
export const RecentReply = z.object({
  atMs: TimeMs,
  outcome: z.enum(["delivered", "deferred", "bounced"]),
  reason: Reason.optional(),
  /** Code, enhanced code and text, or our own words. */
  reply: words.optional(),
  mx: name.optional(),
  ip: z.string().max(45).optional(),
  egress: name.optional(),
  domain: name,
  /** How often it came like this since `atMs` of the first. */
  times: count,
});
export type RecentReply = z.infer<typeof RecentReply>;

/** What limits one egress at one site now. */
export const SiteLimit = z.object({
  egress: name,
  state: FlowState,
  untilMs: TimeMs.optional(),
  why: words.optional(),
  connections: count.optional(),
  connectionsMax: count.optional(),
  ratePerMinute: z.number().nonnegative().optional(),
  ratePerMinuteMax: z.number().nonnegative().optional(),
  messagesPerConnection: count.optional(),
  /** A rule has this egress's mail to the site leave by this pool; `why` tells whether it does. */
  pool: name.optional(),
});
export type SiteLimit = z.infer<typeof SiteLimit>;

export const SiteState = z.object({
  site: name,
  provider: name.optional(),
  state: FlowState,
  untilMs: TimeMs.optional(),
  why: words.optional(),
  connections: count,
  inHand: count,
  lastMinute: LastMinute,
  limits: z.array(SiteLimit).max(64),
});
export type SiteState = z.infer<typeof SiteState>;

/** Why mail waits for a site, or for a domain without one, that nothing stops as a whole: what the last of it heard. */
export const WaitReason = z.object({ place: name, why: words, atMs: TimeMs });
export type WaitReason = z.infer<typeof WaitReason>;

/** What has been going on under one organisation or campaign. */
export const GroupState = z.object({
  key: z.string().max(120),
  state: FlowState,
  untilMs: TimeMs.optional(),
  why: words.optional(),
  lastMinute: LastMinute,
});
export type GroupState = z.infer<typeof GroupState>;

/** Sending that somebody or something stopped, until it is released or its time is over. */
export const Hold = z.object({
  /** Names it: `holdKey`. */
  key: z.string().max(600),
  scope: z.enum(["site", "domain", "organization", "campaign", "everything"]),
  id: name,
  /** An organisation or campaign that is held at this site alone. */
  site: name.optional(),
  why: words,
  /** Who: a person's email address, `key:<name>`, `root`, `rule:<id>` or `breaker:<id>`; one word. */
  by: z.string().max(120),
  sinceMs: TimeMs,
  untilMs: TimeMs.optional(),
});
export type Hold = z.infer<typeof Hold>;

/** What is held, as one word: `site:google`, `organization:acme`, or `campaign:acme/spring@google` for a campaign at one site. */
export const holdKey = ({ scope, id, site }: Pick<Hold, "scope" | "id" | "site">): string =>
  `${scope}:${id}${site === undefined ? "" : `@${site}`}`;

/** Only who sends can be held at one site alone. */
export const canBeHeldAtSite = (scope: Hold["scope"]): boolean =>
  scope === "organization" || scope === "campaign";

/** So many in a unit of time. */
export const Rate = z.string().regex(/^[1-9]\d{0,6}\/(?:s|min|h)$/, "must be like 60/min, 2/s or 500/h");

/** The most that a site is ever given from one address of ours without an operator, over all processes. */
export const SiteCeiling = z.object({
  /** Absent: no rate, until the site shows one. */
  ratePerMinute: z.number().positive().optional(),
  connections: count,
});
export type SiteCeiling = z.infer<typeof SiteCeiling>;

/** Bounds of the limits that an operator sets for a time. */
export const siteLimitBounds = { connectionsMax: 2_000, forSMin: 60, forSMax: 86_400 } as const;

/**
 * What is done with a site's mail until its time is over. By a rule: it leaves by another pool, or what matches is given up. By an
 * operator (`limit`): no more of it than so.
 */
export const Measure = z.object({
  /** Names it: `switch-pool:<egress>/<site>`, `bounce:<rule>/<site>` or `limit:<site>`. */
  key: z.string().max(400),
  action: z.enum(["switch-pool", "bounce", "limit"]),
  /** Absent for `limit`. */
  rule: name.optional(),
  /** Who set it, for `limit`: as with a hold. */
  by: z.string().max(120).optional(),
  /** From each address of ours, over all processes; for `limit`, one of them or both. */
  rate: Rate.optional(),
  connectionsMax: z.number().int().min(1).max(siteLimitBounds.connectionsMax).optional(),
  site: name,
  /** Whose mail goes elsewhere, for `switch-pool`. */
  egress: name.optional(),
  pool: name.optional(),
  why: words,
  sinceMs: TimeMs,
  untilMs: TimeMs,
});
export type Measure = z.infer<typeof Measure>;
/** The pause of a site, as a key: `pause:google`. */
export const pausePrefix = "pause:";
/** So many are in force at most. */
export const measuresMax = 1_000;

/** How far one egress has got with its warm-up at one provider. */
export const WarmingState = z.object({
  provider: name,
  day: count,
  days: count,
  used: count,
  cap: count.optional(),
  say: words,
});
export type WarmingState = z.infer<typeof WarmingState>;

/** Names the check that tells whether mail servers can be reached at all. */
export const portCheck = "port 25";

export const EgressState = z.object({
  egress: name,
  localIp: z.string().max(45).optional(),
  ehloName: name,
  proxy: name.optional(),
  weight: z.number().nonnegative(),
  /** `out`: not used for now, and why. */
  state: z.enum(["in", "out"]),
  why: words.optional(),
  connections: count,
  lastMinute: LastMinute,
  /** Looked at before use: forward-confirmed reverse DNS, block lists. */
  checks: z.array(z.object({ name, ok: z.boolean(), say: words, checkedAtMs: TimeMs.optional() })).max(64),
  warming: z
    .object({
      say: words,
      day: count,
      days: count,
      used: count,
      cap: count.optional(),
      isPaused: z.boolean(),
      providers: z.array(WarmingState).max(64),
    })
    .optional(),
});
export type EgressState = z.infer<typeof EgressState>;

export const PoolState = z.object({
  pool: name,
  isDefault: z.boolean(),
  egresses: z.array(EgressState).max(256),
});
export type PoolState = z.infer<typeof PoolState>;

export const RuleState = z.object({
  rule: name,
  origin: z.enum(["shipped", "own"]),
  say: words,
  isOn: z.boolean(),
  /** What it looks at and what it does, as the rule is written. */
  definition: z.record(z.string(), z.unknown()),
  fired: count,
  firedAtMs: TimeMs.optional(),
});
export type RuleState = z.infer<typeof RuleState>;

/** A rule as it is written; the mta knows what is valid. */
export const RuleDefinition = z.record(z.string(), z.unknown());

export const RuleTrial = z.object({
  rule: name,
  matched: count,
  fired: count,
  /** What it would have done, the first ones. */
  actions: z.array(z.object({ atMs: TimeMs, say: words })).max(20),
});
export type RuleTrial = z.infer<typeof RuleTrial>;

export const breakerStates = ["closed", "open"] as const;
export const BreakerState = z.object({
  scope: z.enum(["organization", "campaign"]),
  id: name,
  state: z.enum(breakerStates),
  why: words.optional(),
  bounceRate: z.number().min(0).max(1).optional(),
  complaintRate: z.number().min(0).max(1).optional(),
  sinceMs: TimeMs.optional(),
});
export type BreakerState = z.infer<typeof BreakerState>;

/** One process as it stands. */
export const ProcessState = z.object({
  process: name,
  startedAtMs: TimeMs,
  connections: z.object({ open: count, idle: count, max: count }),
  inHand: count,
  lastMinute: LastMinute,
  /** Those with the most going on come first. */
  sites: z.array(SiteState).max(1_000),
  organizations: z.array(GroupState).max(500),
  campaigns: z.array(GroupState).max(500),
  breakers: z.array(BreakerState).max(500),
  /** The newest first. */
  waits: z.array(WaitReason).max(2_000).optional(),
});
export type ProcessState = z.infer<typeof ProcessState>;

/** `hold` puts entries off to a time, for what is no scope of a hold. */
export const queueActions = ["hold", "bounce", "requeue", "rebind"] as const;
export const QueueAction = z.enum(queueActions);
export type QueueAction = z.infer<typeof QueueAction>;

/** One recipient's entry, as much as tells it apart. */
export const QueueSample = z.object({
  deliveryId: DeliveryId,
  messageId: MessageId,
  recipient: Address,
  organizationId: OrganizationId,
  campaign: Campaign.optional(),
  site: name,
  attempt: z.number().int().positive(),
  acceptedAtMs: TimeMs,
  nextAtMs: TimeMs.optional(),
});
export type QueueSample = z.infer<typeof QueueSample>;

/** `one`: whichever process is free; `all`: every running process, and the answers are gathered. */
type Control = {
  answeredBy: "one" | "all";
  request: z.ZodType;
  answer: z.ZodType;
  /** How long an answer may take. */
  answerMsMax: number;
  /** Answers that are taken of one question, further ones are left. */
  answersMax: number;
};

const processesMax = 64;

export const controls = {
  /** What waits, counted. At most `rowsMax` rows, the deepest first; `rest` holds the others together. */
  "mta.queue": {
    answeredBy: "one",
    request: z.object({
      by: QueueGrouping,
      filter: QueueFilter,
      rowsMax: z.number().int().min(1).max(2_000),
    }),
    answer: z.object({
      countedAtMs: TimeMs,
      total: Waiting,
      classes: z.array(Waiting.extend({ traffic: z.enum(traffics) })),
      rows: z
        .array(
          Waiting.extend({
            key: z.string().max(300),
            provider: name.optional(),
            /** By organisation and campaign: the sites that most of it waits for. */
            sites: z
              .array(z.object({ site: name, entries: count }))
              .max(queueSitesMax)
              .optional(),
          }),
        )
        .max(2_000),
      rest: Waiting.extend({ rows: count }).optional(),
    }),
    answerMsMax: 60_000,
    answersMax: 1,
  },
  /** What each process is doing. */
  "mta.state": {
    answeredBy: "all",
    request: z.object({}),
    answer: ProcessState,
    answerMsMax: 3_000,
    answersMax: processesMax,
  },
  /**
   * Does something to the entries that the filter holds for, at most `entriesMax` of them from `after` on: the answer's
   * `next` is where to go on, and is absent at the end. Repeating it is harmless. With `isDryRun` it only counts.
   */
  "mta.act": {
    answeredBy: "one",
    request: z.object({
      action: QueueAction,
      filter: QueueFilter,
      isDryRun: z.boolean(),
      entriesMax: z.number().int().min(1).max(10_000),
      /** Position in the stream. */
      after: count.optional(),
      by: z.string().max(120),
      why: words,
      /** For `hold`: when they become due again. */
      untilMs: TimeMs.optional(),
      /** For `rebind`: the pool to send from. */
      pool: name.optional(),
    }),
    answer: z.object({
      matched: count,
      touched: count,
      /** A process is sending them at this moment: left alone. */
      inHand: count,
      sample: z.array(QueueSample).max(20),
      next: count.optional(),
    }),
    answerMsMax: 60_000,
    answersMax: 1,
  },
  /** Asks every mta not to begin these deliveries for a while, and which of them it has in hand. `forMs` 0 ends it. */
  "mta.withhold": {
    answeredBy: "all",
    request: z.object({
      deliveryIds: z.array(DeliveryId).max(1_000),
      forMs: z.number().int().min(0).max(60_000),
    }),
    answer: z.object({ inHand: z.array(DeliveryId).max(1_000) }),
    answerMsMax: 3_000,
    answersMax: processesMax,
  },
  /** Where a domain's mail goes, and under which policies. */
  "mta.site": {
    answeredBy: "one",
    request: z.object({ domain: name }),
    answer: z.object({
      domain: name,
      site: name.optional(),
      provider: name.optional(),
      /** Why there is no way to it. */
      trouble: words.optional(),
      hosts: z
        .array(
          z.object({
            name,
            port: count,
            preference: count.optional(),
            addresses: z.array(z.string().max(45)).max(64),
            trouble: words.optional(),
            dane: words.optional(),
          }),
        )
        .max(20),
      policies: z
        .array(
          z.object({ name, say: words, mode: z.string().max(40).optional(), untilMs: TimeMs.optional() }),
        )
        .max(20),
    }),
    answerMsMax: 20_000,
    answersMax: 1,
  },
  /** What the sites of a process answered lately. */
  "mta.replies": {
    answeredBy: "all",
    request: z.object({ site: name }),
    answer: z.object({
      state: SiteState.optional(),
      replies: z.array(RecentReply).max(50),
      ceiling: SiteCeiling.optional(),
      wait: WaitReason.optional(),
    }),
    answerMsMax: 3_000,
    answersMax: processesMax,
  },
  /** Has a site that is left alone asked by the next message, instead of at the end of its pause. */
  "mta.ask-site": {
    answeredBy: "all",
    request: z.object({ site: name, by: z.string().max(120) }),
    answer: z.object({ rows: count }),
    answerMsMax: 3_000,
    answersMax: processesMax,
  },
  /** Limits of a site until a time, in place of those before. Throws what is wrong with them. */
  "mta.limit-site": {
    answeredBy: "one",
    request: z.object({
      site: name,
      rate: Rate.optional(),
      connectionsMax: Measure.shape.connectionsMax,
      /** Also more than the site's profile allows. */
      isAboveCeiling: z.boolean(),
      why: words,
      by: z.string().max(120),
      untilMs: TimeMs,
    }),
    answer: Measure,
    answerMsMax: 5_000,
    answersMax: 1,
  },
  /** Where we send from. */
  "mta.pools": {
    answeredBy: "all",
    request: z.object({}),
    answer: z.object({ process: name, pools: z.array(PoolState).max(64) }),
    answerMsMax: 3_000,
    answersMax: processesMax,
  },
  "mta.rules": {
    answeredBy: "one",
    request: z.object({}),
    answer: z.object({ rules: z.array(RuleState).max(1_000) }),
    answerMsMax: 5_000,
    answersMax: 1,
  },
  /** What rules would have done to the events since a time. Changes nothing. */
  "mta.rules-trial": {
    answeredBy: "one",
    request: z.object({ sinceMs: TimeMs, rules: z.array(RuleDefinition).max(100).optional() }),
    answer: z.object({
      events: count,
      trials: z.array(RuleTrial).max(1_000),
      problems: z.array(words).max(100),
    }),
    answerMsMax: 60_000,
    answersMax: 1,
  },
  "mta.holds": {
    answeredBy: "one",
    request: z.object({}),
    answer: z.object({
      holds: z.array(Hold).max(2_000),
      measures: z.array(Measure).max(measuresMax).optional(),
    }),
    answerMsMax: 5_000,
    answersMax: 1,
  },
  "mta.hold": {
    answeredBy: "one",
    request: Hold.omit({ key: true, sinceMs: true }),
    answer: Hold,
    answerMsMax: 5_000,
    answersMax: 1,
  },
  /**
   * Ends a hold, what a rule does, or an operator's limits, by its key, and has the mail that it put off come back. `pause:<site>`: that of a
   * site whose pause `mta.ask-site` ended.
   */
  "mta.release": {
    answeredBy: "one",
    request: z.object({ key: z.string().max(600), by: z.string().max(120) }),
    answer: z.object({ wasHeld: z.boolean() }),
    answerMsMax: 5_000,
    answersMax: 1,
  },
  /**
   * Lines of SMTP sessions to a domain or a site as they are said, in many answers, until nobody has asked again for
   * `followMsMax` or it has lasted `traceMsMax`. Secrets are masked, message text is left out.
   */
  "mta.trace": {
    answeredBy: "all",
    request: z.object({ domain: name }),
    answer: z.object({
      process: name,
      lines: z
        .array(
          z.object({
            atMs: TimeMs,
            session: z.string().max(60),
            host: name,
            ip: z.string().max(45),
            egress: name.optional(),
            /** `<` the server says, `>` we say, `*` what happened. */
            side: z.enum(["<", ">", "*"]),
            text: z.string().max(1_000),
          }),
        )
        .max(200),
      /** Lines that were left out because they came too fast. */
      dropped: count,
    }),
    answerMsMax: 600_000,
    answersMax: 1_000_000,
  },
} as const satisfies Record<string, Control>;

/** A trace ends by itself; a listener that went away is noticed after `followMsMax`. */
export const traceMsMax = 600_000;
export const followMsMax = 15_000;

export type ControlName = keyof typeof controls;
export type ControlRequest<C extends ControlName> = z.infer<(typeof controls)[C]["request"]>;
export type ControlAnswer<C extends ControlName> = z.infer<(typeof controls)[C]["answer"]>;

export const controlSubject = (control: ControlName) => `ctl.${control}`;
/** Where answers go; the token behind it names the question. */
export const answerPrefix = "ctl.answer.";
