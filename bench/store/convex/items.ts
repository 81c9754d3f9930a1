/** The functions that `bench store` measures: small, as typical functions are, so that the engine is what is seen. */
import {
  type DataModelFromSchemaDefinition,
  type MutationBuilder,
  mutationGeneric,
  type QueryBuilder,
  queryGeneric,
} from "convex/server";
import { v } from "convex/values";
import type schema from "./schema.ts";

type Model = DataModelFromSchemaDefinition<typeof schema>;
const query: QueryBuilder<Model, "public"> = queryGeneric;
const mutation: MutationBuilder<Model, "public"> = mutationGeneric;

/** One document with three indexes. */
export const add = mutation({
  args: { owner: v.string(), rank: v.number(), kind: v.string(), body: v.string() },
  returns: v.id("items"),
  handler: async (ctx, item) => await ctx.db.insert("items", item),
});

/** Ten documents of one range of an index. */
export const top = query({
  args: { owner: v.string() },
  handler: async (ctx, { owner }) =>
    await ctx.db
      .query("items")
      .withIndex("by_owner_rank", (range) => range.eq("owner", owner))
      .take(10),
});

/** Every event once, by its id: looked up, and stored when it is new. */
export const applyEvents = mutation({
  args: {
    events: v.array(
      v.object({ eventId: v.string(), subject: v.string(), at: v.number(), detail: v.string() }),
    ),
  },
  returns: v.number(),
  handler: async (ctx, { events }) => {
    let applied = 0;
    for (const event of events) {
      const known = await ctx.db
        .query("events")
        .withIndex("by_eventId", (range) => range.eq("eventId", event.eventId))
        .unique();
      if (known !== null) continue;
      await ctx.db.insert("events", event);
      applied++;
    }
    return applied;
  },
});
