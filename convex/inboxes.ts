import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { inboxRow, listInboxes } from "./model/inboxes.ts";

/** Where mail is taken besides return paths, by pattern. */
export const list = userQuery({
  args: {},
  returns: v.array(inboxRow),
  handler: async (ctx) => await listInboxes(ctx),
});
