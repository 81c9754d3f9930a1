import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { apiKeyRow, listApiKeys } from "./model/apiKeys.ts";

/** API keys without their secrets, newest first. */
export const list = userQuery({
  args: {},
  returns: v.array(apiKeyRow),
  handler: async (ctx) => await listApiKeys(ctx),
});
