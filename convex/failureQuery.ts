import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { failureRow, pageOfFailures } from "./model/failures.ts";
import type { FailureKind } from "./model/shapes.ts";

/** A list of one kind, newest first; by reason or by provider, or both (then a page may hold fewer rows than asked for). */
export const failureQuery = (kind: FailureKind) =>
  userQuery({
    args: {
      reason: v.optional(v.string()),
      provider: v.optional(v.string()),
      paginationOpts: paginationOptsValidator,
    },
    returns: paginationResultValidator(failureRow),
    handler: async (ctx, { paginationOpts, ...filter }) =>
      await pageOfFailures(ctx, kind, filter, paginationOpts),
  });
