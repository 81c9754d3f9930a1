/** Where mail is taken besides return paths: one address, or every address of a domain of ours. Changed by the gateway. */
import type { WithoutSystemFields } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { appendChanges, inboxValue } from "./changes.ts";
import { suppressionKey } from "./suppressions.ts";

type Inbox = Omit<WithoutSystemFields<Doc<"inboxes">>, "key">;
export const inboxesMax = 1_000;

export const inboxRow = v.object({ pattern: v.string(), since: v.number() });
export const inboxView = ({ pattern, since }: Inbox) => ({ pattern, since });

export const findInbox = (ctx: QueryCtx, pattern: string) =>
  ctx.db
    .query("inboxes")
    .withIndex("by_pattern", (range) => range.eq("pattern", pattern))
    .unique();

/** By pattern. */
export const listInboxes = async (ctx: QueryCtx) =>
  (await ctx.db.query("inboxes").withIndex("by_pattern").take(inboxesMax)).map(inboxView);

export async function addInbox(ctx: MutationCtx, inbox: Inbox): Promise<void> {
  // The key is a digest of the pattern as it is of an address: lower case, sha256 in hex.
  const row = { ...inbox, key: await suppressionKey(inbox.pattern) };
  await ctx.db.insert("inboxes", row);
  await appendChanges(ctx, [{ bucket: "INBOXES", key: row.key, value: inboxValue(row) }]);
}

export async function removeInbox(ctx: MutationCtx, row: Doc<"inboxes">): Promise<void> {
  await ctx.db.delete(row._id);
  await appendChanges(ctx, [{ bucket: "INBOXES", key: row.key, value: null }]);
}
