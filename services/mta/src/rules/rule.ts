import { Reason } from "@tyto/contracts";
import { z } from "zod";

/** What a rule can do. Everything but `bounce` is undone when `forS` is over; a person can undo it before. */
export const actions = [
  /** No mail to the site from this address of ours; then one message probes it. */
  "suspend-site",
  /** Half the rate and half the connections, once. */
  "slow-site",
  /** The organisation's mail waits, to all sites. */
  "hold-organization",
  /** The same, to the site that answered so; what others think of the organisation they say themselves. */
  "hold-organization-at-site",
  /** The campaign's mail waits, to all sites; mail without a campaign is left alone. */
  "hold-campaign",
  /** The same, to the site that answered so. */
  "hold-campaign-at-site",
  /** What matches is given up instead of tried again. */
  "bounce",
  /** Mail to the site leaves from another pool. */
  "switch-pool",
] as const;
export type Action = (typeof actions)[number];

const patternCharsMax = 400;
const dayS = 86_400;

/** Repeats inside repeats, such as `(a+)+`, can take minutes on a text that nearly matches. */
const nestedRepeat = /\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)[+*{]/;

const pattern = z
  .string()
  .min(1)
  .max(patternCharsMax)
  .superRefine((source, context) => {
    const problem = problemOf(source);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });

function problemOf(source: string): string | undefined {
  if (nestedRepeat.test(source)) return "has a repeat inside a repeat, which can take minutes";
  try {
    new RegExp(source, "iu");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What replies a rule is about: all that is named has to hold. */
const When = z
  .strictObject({
    /** A name of `packages/contracts/src/providers.ts`. */
    provider: z.string().min(1).max(60).optional(),
    /** A site's id. */
    site: z.string().min(1).max(253).optional(),
    /** A reply code, or its class. */
    code: z.union([z.number().int().min(400).max(599), z.enum(["4xx", "5xx"])]).optional(),
    /** An enhanced status code (RFC 3463), such as 4.7.28. */
    enhanced: z
      .string()
      .regex(/^[45]\.\d{1,3}\.\d{1,3}$/, "must be like 4.7.28")
      .optional(),
    reason: Reason.optional(),
    /** A regular expression (JavaScript, flags i and u) over the reply's text on one line, without status codes. */
    pattern: pattern.optional(),
  })
  .refine(
    ({ code, enhanced, reason, pattern }) =>
      [code, enhanced, reason, pattern].some((one) => one !== undefined),
    "must say which replies: by code, enhanced, reason or pattern",
  );

export const Rule = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,59}$/, "must be small letters, digits, dots and hyphens"),
    /** What it is for, as one sentence: operators read it at three in the morning. */
    about: z.string().min(1).max(300),
    when: When,
    /** So many within the time, or so great a part of the attempts, per what the action is about. */
    threshold: z.union([
      z.literal("immediate"),
      z.strictObject({
        count: z.number().int().min(2).max(1_000),
        withinS: z.number().int().min(1).max(dayS),
      }),
      /** So great a part of the attempts at the provider or site that `when` names, once there were so many. */
      z.strictObject({
        share: z.number().positive().max(1),
        attemptsMin: z.number().int().min(10).max(100_000),
        withinS: z.number().int().min(10).max(dayS),
      }),
    ]),
    action: z.enum(actions),
    /** How long what it does lasts. */
    forS: z.number().int().min(30).max(dayS),
    /** Where to, for `switch-pool`. */
    pool: z.string().min(1).max(60).optional(),
    enabled: z.boolean().default(true),
  })
  .refine(({ action, pool }) => (action === "switch-pool") === (pool !== undefined), {
    path: ["pool"],
    message: "goes with switch-pool, and only with it",
  });
export type Rule = z.infer<typeof Rule>;
export type ShareThreshold = Extract<Rule["threshold"], { share: number }>;

/** What a rule by share counts besides its matches: every answer of those that `when` names. */
export const shareOf = ({ threshold }: Pick<Rule, "threshold">): ShareThreshold | undefined =>
  threshold !== "immediate" && "share" in threshold ? threshold : undefined;

/** A rule of the pack, with replies (as servers send them) that prove what it matches and what it leaves alone. */
export type ShippedRule = Rule & { examples: { matches: readonly string[]; passes: readonly string[] } };
