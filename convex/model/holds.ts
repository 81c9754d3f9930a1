/** What stopped sending, for how long and why: one row per hold, made by whichever of its two events comes first. */
import type { Payload } from "@tyto/contracts";
import { v } from "convex/values";
import { literals } from "convex-helpers/validators";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";

export const holdScope = literals("site", "domain", "organization", "campaign", "everything");

/** A rule holds a sender at the site that answered: in one millisecond at one or two. */
const sitesAtOnceMax = 100;

type HoldEvent = Pick<Payload<"sending.held">, "organizationId" | "scope" | "scopeId" | "site"> & {
  heldAt: number;
};

/** Holds of one scope that began in the same millisecond differ by the site that they are held at. */
async function findHold(ctx: QueryCtx, { scope, scopeId, site, heldAt }: HoldEvent) {
  const rows = await ctx.db
    .query("holds")
    .withIndex("by_scope", (range) => range.eq("scope", scope).eq("scopeId", scopeId).eq("heldAt", heldAt))
    .take(sitesAtOnceMax);
  return rows.find((row) => row.site === site) ?? null;
}

/** False if the event was applied before. */
export async function applyHeld(ctx: MutationCtx, event: Payload<"sending.held">): Promise<boolean> {
  const { organizationId, scope, scopeId, site, why, by, untilAt, at: heldAt } = event;
  const about = defined({ organizationId, scope, scopeId, site, heldAt });
  const row = await findHold(ctx, about);
  if (row?.by !== undefined) return false;
  const told = defined({ why, by, untilAt });
  if (row === null) await ctx.db.insert("holds", { ...about, ...told });
  else await ctx.db.patch(row._id, told);
  return true;
}

/** False if the event was applied before. */
export async function applyReleased(ctx: MutationCtx, event: Payload<"sending.released">): Promise<boolean> {
  const { organizationId, scope, scopeId, site, heldAt, by: releasedBy, at: releasedAt } = event;
  const about = defined({ organizationId, scope, scopeId, site, heldAt });
  const row = await findHold(ctx, about);
  if (row?.releasedBy !== undefined) return false;
  const told = { releasedAt, releasedBy };
  if (row === null) await ctx.db.insert("holds", { ...about, ...told });
  else await ctx.db.patch(row._id, told);
  return true;
}

export const holdRow = v.object({
  scope: holdScope,
  scopeId: v.string(),
  site: v.optional(v.string()),
  heldAt: v.number(),
  why: v.optional(v.string()),
  by: v.optional(v.string()),
  untilAt: v.optional(v.number()),
  releasedAt: v.optional(v.number()),
  releasedBy: v.optional(v.string()),
});

export function holdView(row: Doc<"holds">) {
  const { scope, scopeId, site, heldAt, why, by, untilAt, releasedAt, releasedBy } = row;
  return defined({ scope, scopeId, site, heldAt, why, by, untilAt, releasedAt, releasedBy });
}
