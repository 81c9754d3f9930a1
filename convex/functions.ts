/**
 * The only builders of public functions: each looks at the caller's token first, so that a function cannot be public
 * by forgetting. Tokens are ES256 JWTs for the audience `convex`, checked by Convex against auth.config.ts; here only
 * issuer, role and subject are compared. A refused caller gets a ConvexError with `code` of @tyto/contracts.
 */
import type { ErrorCode } from "@tyto/contracts";
import type { Auth } from "convex/server";
import { ConvexError } from "convex/values";
import { customCtx, customMutation, customQuery } from "convex-helpers/server/customFunctions";
import type { Doc } from "./_generated/dataModel";
import { mutation, type QueryCtx, query } from "./_generated/server";
import { issuers } from "./model/issuers.ts";

export { internalMutation, internalQuery } from "./_generated/server";

/** An expected failure: `code` is a row of the error table, `hint` is public and says what to do. */
export const refusal = (code: ErrorCode, hint?: string) =>
  new ConvexError(hint === undefined ? { code } : { code, hint });

async function requireService(ctx: { auth: Auth }, service: keyof typeof issuers): Promise<void> {
  const identity = await ctx.auth.getUserIdentity();
  if (identity === null) throw refusal("request.unauthenticated");
  if (identity.issuer !== issuers[service] || identity.role !== "service" || identity.subject !== service)
    throw refusal("request.forbidden");
}

async function requireUser(ctx: QueryCtx): Promise<Doc<"users">> {
  const identity = await ctx.auth.getUserIdentity();
  if (identity === null) throw refusal("request.unauthenticated");
  if (identity.issuer !== issuers.gateway || identity.role !== "user") throw refusal("request.forbidden");
  const id = ctx.db.normalizeId("users", identity.subject);
  const user = id === null ? null : await ctx.db.get(id);
  if (user === null || user.disabled === true) throw refusal("request.forbidden");
  return user;
}

const asUser = customCtx(async (ctx: QueryCtx) => ({ user: await requireUser(ctx) }));
const asService = (service: keyof typeof issuers) =>
  customCtx(async (ctx: { auth: Auth }) => {
    await requireService(ctx, service);
    return {};
  });

/** A signed-in person of the dashboard; the person's row is `ctx.user`. */
export const userQuery = customQuery(query, asUser);
export const userMutation = customMutation(mutation, asUser);
/** The gateway itself, which has checked an API key or a session. */
export const gatewayQuery = customQuery(query, asService("gateway"));
export const gatewayMutation = customMutation(mutation, asService("gateway"));
/** The recorder, which mirrors what Convex owns into NATS. */
export const recorderQuery = customQuery(query, asService("recorder"));
