import { v } from "convex/values";
import { literals } from "convex-helpers/validators";
import { userQuery } from "./functions.ts";
import { breakdown } from "./model/breakdowns.ts";
import { defined } from "./model/defined.ts";
import type { BreakdownKind } from "./model/shapes.ts";

/**
 * Counts of one kind since a time, grouped `by` one dimension and filtered by the others. `groups` are all keys (100 at most),
 * the most frequent first; `series` the first twelve of them and the rest as `other`, each with its points over time, empty
 * ones left out. Up to three days back in hours, further back in days (UTC), 93 at most.
 */
export const breakdownQuery = (kind: BreakdownKind) =>
  userQuery({
    args: {
      sinceMs: v.number(),
      by: literals("reason", "provider", "domain"),
      reason: v.optional(v.string()),
      provider: v.optional(v.string()),
      domain: v.optional(v.string()),
    },
    returns: v.object({
      periodMs: v.number(),
      total: v.number(),
      hard: v.number(),
      groups: v.array(v.object({ key: v.string(), count: v.number(), hard: v.number() })),
      series: v.array(
        v.object({
          key: v.string(),
          points: v.array(v.object({ at: v.number(), count: v.number() })),
        }),
      ),
    }),
    handler: async (ctx, { sinceMs, by, ...filter }) =>
      await breakdown(ctx, kind, by, defined(filter), sinceMs, Date.now()),
  });
