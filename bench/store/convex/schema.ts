import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  items: defineTable({
    owner: v.string(),
    rank: v.number(),
    kind: v.string(),
    body: v.string(),
  })
    .index("by_owner_rank", ["owner", "rank"])
    .index("by_rank", ["rank"])
    .index("by_kind", ["kind"]),
  events: defineTable({ eventId: v.string(), subject: v.string(), at: v.number(), detail: v.string() })
    .index("by_eventId", ["eventId"])
    .index("by_subject_at", ["subject", "at"]),
});
