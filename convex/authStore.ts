/**
 * Storage for better-auth in the gateway: the calls of its adapter interface, as they are. Models are better-auth's
 * (`user`, `session`, `account`, `verification`); times are milliseconds, ids are given by Convex (create refuses one).
 * Every answer is a row with `id`, or null.
 */

import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { gatewayMutation, gatewayQuery } from "./functions.ts";
import * as rows from "./model/authRows.ts";

const { model, where, row, values } = rows;

export const create = gatewayMutation({
  args: { model, data: values },
  returns: row,
  handler: async (ctx, { model, data }) => await rows.create(ctx, model, data),
});

export const findOne = gatewayQuery({
  args: { model, where },
  returns: nullable(row),
  handler: async (ctx, { model, where }) => (await rows.find(ctx, model, where))[0] ?? null,
});

export const findMany = gatewayQuery({
  args: {
    model,
    where: v.optional(where),
    limit: v.optional(v.number()),
    sortBy: v.optional(
      v.object({ field: v.string(), direction: v.union(v.literal("asc"), v.literal("desc")) }),
    ),
    offset: v.optional(v.number()),
  },
  returns: v.array(row),
  handler: async (ctx, { model, where, limit, sortBy, offset = 0 }) => {
    const found = rows.sorted(await rows.find(ctx, model, where ?? []), sortBy);
    return found.slice(offset, offset + Math.min(limit ?? rows.answerMax, rows.answerMax));
  },
});

/** The first row that matches, changed; null if none does. */
export const update = gatewayMutation({
  args: { model, where, update: values },
  returns: nullable(row),
  handler: async (ctx, { model, where, update }) => {
    const [found] = await rows.find(ctx, model, where);
    return found === undefined ? null : await rows.change(ctx, model, found, update);
  },
});

/** Changes every row that matches and tells how many. */
export const updateMany = gatewayMutation({
  args: { model, where, update: values },
  returns: v.number(),
  handler: async (ctx, { model, where, update }) => {
    const found = await rows.find(ctx, model, where);
    for (const each of found) await rows.change(ctx, model, each, update);
    return found.length;
  },
});

/** Removes the first row that matches, if any. */
export const remove = gatewayMutation({
  args: { model, where },
  returns: v.null(),
  handler: async (ctx, { model, where }) => {
    await rows.removeAll(ctx, model, (await rows.find(ctx, model, where)).slice(0, 1));
    return null;
  },
});

/** Removes every row that matches and tells how many. */
export const removeMany = gatewayMutation({
  args: { model, where },
  returns: v.number(),
  handler: async (ctx, { model, where }) => {
    const found = await rows.find(ctx, model, where);
    await rows.removeAll(ctx, model, found);
    return found.length;
  },
});

export const count = gatewayQuery({
  args: { model, where: v.optional(where) },
  returns: v.number(),
  handler: async (ctx, { model, where }) => (await rows.find(ctx, model, where ?? [])).length,
});
