/** API keys: added and removed by the gateway, which alone sees a secret and shows it once. */
import type { WithoutSystemFields } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { apiKeyValue, appendChanges } from "./changes.ts";
import { defined } from "./defined.ts";
import { scope } from "./shapes.ts";

type ApiKey = WithoutSystemFields<Doc<"apiKeys">>;
export const apiKeysMax = 1_000;

export const apiKeyRow = v.object({
  apiKeyId: v.string(),
  name: v.string(),
  prefix: v.string(),
  scopes: v.array(scope),
  createdAt: v.number(),
  lastUsedAt: v.optional(v.number()),
});

export const findApiKey = (ctx: QueryCtx, apiKeyId: string) =>
  ctx.db
    .query("apiKeys")
    .withIndex("by_apiKeyId", (range) => range.eq("apiKeyId", apiKeyId))
    .unique();

/** Newest first. */
export const listApiKeys = async (ctx: QueryCtx) =>
  (await ctx.db.query("apiKeys").order("desc").take(apiKeysMax)).map(apiKeyView);

export async function addApiKey(ctx: MutationCtx, apiKey: ApiKey): Promise<void> {
  await ctx.db.insert("apiKeys", apiKey);
  await appendChanges(ctx, [{ bucket: "API_KEYS", key: apiKey.hash, value: apiKeyValue(apiKey) }]);
}

export async function removeApiKey(ctx: MutationCtx, row: Doc<"apiKeys">): Promise<void> {
  await ctx.db.delete(row._id);
  await appendChanges(ctx, [{ bucket: "API_KEYS", key: row.hash, value: null }]);
}

export const apiKeyView = ({ apiKeyId, name, prefix, scopes, createdAt, lastUsedAt }: ApiKey) =>
  defined({ apiKeyId, name, prefix, scopes, createdAt, lastUsedAt });
