/** Addresses that get no mail. A list of people's wishes and of mailboxes that do not exist, and nothing else. */
import type { Payload } from "@tyto/contracts";
import type { WithoutSystemFields } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { appendChanges, type Change, suppressionValue } from "./changes.ts";
import { addTotal } from "./counters.ts";
import { defined } from "./defined.ts";
import { replyLine } from "./delivery.ts";
import { type SuppressionWish, suppressionCause } from "./shapes.ts";

/** A wish to suppress; the row adds the keys under which the address is found. */
export type Suppression = Omit<WithoutSystemFields<Doc<"suppressions">>, "key" | "addressKey">;
type Cause = Pick<SuppressionWish, "since" | "evidence">;
const evidenceCharsMax = 1_000;
export const pageMax = 200;

export const causeOf = (bounce: Payload<"mail.bounced">): Cause =>
  defined({ since: bounce.at, evidence: replyLine(bounce)?.slice(0, evidenceCharsMax) });

/**
 * What a complaint does: who says "not spam" wants the mail, and who opts out wants no more of it; everybody else complains.
 */
export function wishOf(complaint: Payload<"mail.complained">): SuppressionWish | undefined {
  const { at, feedback, reporter } = complaint;
  if (feedback === "not-spam") return undefined;
  const evidence = `${feedback}${reporter === undefined ? "" : ` reported by ${reporter}`}`;
  return { since: at, evidence, cause: feedback === "opt-out" ? "unsubscribe" : "complaint" };
}

/** Of two reasons to suppress one recipient the one that counts, whichever came first: a person's wish, then the earlier. */
export function stronger(a: SuppressionWish | undefined, b: SuppressionWish): SuppressionWish {
  if (a === undefined) return b;
  if ((a.cause === undefined) !== (b.cause === undefined)) return a.cause === undefined ? b : a;
  const order = compareCauses(a, b);
  return order < 0 || (order === 0 && (a.cause ?? "") <= (b.cause ?? "")) ? a : b;
}

function compareCauses(a: Cause, b: Cause): number {
  const [aText, bText] = [a.evidence ?? "", b.evidence ?? ""];
  return a.since - b.since || (aText < bText ? -1 : aText > bText ? 1 : 0);
}

/**
 * Which of two reasons to suppress one address stays, whatever came first: what a person asked for, then the earlier.
 */
function outranks(a: Suppression, b: Suppression): boolean {
  const [aAsked, bAsked] = [a.cause !== "bounce", b.cause !== "bounce"];
  if (aAsked !== bAsked) return aAsked;
  const order = compareCauses(a, b);
  return order < 0 || (order === 0 && (a.messageId ?? "") < (b.messageId ?? ""));
}

/** Puts addresses on the list. One that is there already keeps its stronger reason. */
export async function suppress(ctx: MutationCtx, wanted: readonly Suppression[]): Promise<void> {
  const changes: Change[] = [];
  let added = 0;
  for (const suppression of wanted) {
    const key = await suppressionKey(suppression.address);
    const row = { ...suppression, key, addressKey: suppression.address.toLowerCase() };
    const present = await findSuppression(ctx, key);
    if (present === null) {
      await ctx.db.insert("suppressions", row);
      added += 1;
    } else if (outranks(row, present)) await ctx.db.replace(present._id, row);
    else continue;
    changes.push({ bucket: "SUPPRESSIONS", key, value: suppressionValue(row) });
  }
  await addTotal(ctx, "suppressions", added);
  await appendChanges(ctx, changes);
}

/** Puts one address on the list and tells what stands there now. */
export async function addSuppression(ctx: MutationCtx, suppression: Suppression) {
  await suppress(ctx, [suppression]);
  const key = await suppressionKey(suppression.address);
  return suppressionView((await findSuppression(ctx, key)) ?? suppression);
}

/** A page by address, for programs: the cursor is the last address of the page before. */
export async function listSuppressions(ctx: QueryCtx, cursor: string | null, limit: number) {
  const wanted = Math.max(1, Math.min(limit, pageMax));
  const rows = await ctx.db
    .query("suppressions")
    .withIndex("by_addressKey", (range) => range.gt("addressKey", cursor ?? ""))
    .take(wanted);
  return {
    page: rows.map(suppressionView),
    cursor: rows.length < wanted ? null : (rows.at(-1)?.addressKey ?? null),
  };
}

/** Takes an address off the list; false if it was not on it. Rows are found by address in lower case. */
export async function unsuppress(ctx: MutationCtx, address: string): Promise<boolean> {
  const row = await ctx.db
    .query("suppressions")
    .withIndex("by_addressKey", (range) => range.eq("addressKey", address.toLowerCase()))
    .first();
  if (row === null) return false;
  await ctx.db.delete(row._id);
  await addTotal(ctx, "suppressions", -1);
  await appendChanges(ctx, [{ bucket: "SUPPRESSIONS", key: row.key, value: null }]);
  return true;
}

const findSuppression = (ctx: QueryCtx, key: string) =>
  ctx.db
    .query("suppressions")
    .withIndex("by_key", (range) => range.eq("key", key))
    .unique();

/** sha256 hex of the lower-case address, as suppressionKey of @tyto/contracts, with nothing but Web Crypto. */
export async function suppressionKey(address: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(address.toLowerCase()));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const suppressionView = ({ address, cause, since, messageId, evidence }: Suppression) =>
  defined({ address, cause, since, messageId, evidence });

export const suppressionRow = v.object({
  address: v.string(),
  cause: suppressionCause,
  since: v.number(),
  messageId: v.optional(v.string()),
  evidence: v.optional(v.string()),
});
