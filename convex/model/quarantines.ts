/** When an address of ours was out of its pools, and why: one row, made by whichever of its two events comes first. */
import type { Payload } from "@tyto/contracts";
import { v } from "convex/values";
import { literals } from "convex-helpers/validators";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";

export const quarantineKind = literals("reverse-dns", "listed");

type Named = Pick<Payload<"egress.quarantined">, "egress" | "kind"> & { quarantinedAt: number };

const find = (ctx: QueryCtx, { egress, kind, quarantinedAt }: Named) =>
  ctx.db
    .query("quarantines")
    .withIndex("by_egress", (range) =>
      range.eq("egress", egress).eq("kind", kind).eq("quarantinedAt", quarantinedAt),
    )
    .unique();

/** False if the event was applied before. */
export async function applyQuarantined(
  ctx: MutationCtx,
  { egress, kind, ip, why, at: quarantinedAt }: Payload<"egress.quarantined">,
): Promise<boolean> {
  const row = await find(ctx, { egress, kind, quarantinedAt });
  if (row?.why !== undefined) return false;
  const told = defined({ ip, why });
  if (row === null) await ctx.db.insert("quarantines", { egress, kind, quarantinedAt, ...told });
  else await ctx.db.patch(row._id, told);
  return true;
}

/** False if the event was applied before. */
export async function applyUnquarantined(
  ctx: MutationCtx,
  { egress, kind, ip, quarantinedAt, at: releasedAt }: Payload<"egress.released">,
): Promise<boolean> {
  const row = await find(ctx, { egress, kind, quarantinedAt });
  if (row?.releasedAt !== undefined) return false;
  const told = defined({ ip, releasedAt });
  if (row === null) await ctx.db.insert("quarantines", { egress, kind, quarantinedAt, ...told });
  else await ctx.db.patch(row._id, told);
  return true;
}

export const quarantineRow = v.object({
  egress: v.string(),
  kind: quarantineKind,
  quarantinedAt: v.number(),
  ip: v.optional(v.string()),
  why: v.optional(v.string()),
  releasedAt: v.optional(v.number()),
});

export function quarantineView({ egress, kind, quarantinedAt, ip, why, releasedAt }: Doc<"quarantines">) {
  return defined({ egress, kind, quarantinedAt, ip, why, releasedAt });
}
