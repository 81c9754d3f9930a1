/** Signing domains: added by a person, keyed by the mta, checked by the gateway. */
import type { Payload } from "@tyto/contracts";
import type { WithoutSystemFields } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { refusal } from "../functions.ts";
import { appendChanges, domainValue } from "./changes.ts";
import { defined } from "./defined.ts";
import { type DomainChange, publicOf, rotationFor } from "./rotation.ts";
import { dnsRecord, domainPublicKey, domainState, retiredKey } from "./shapes.ts";

type Domain = WithoutSystemFields<Doc<"domains">>;
export const domainsMax = 1_000;

export const findDomain = (ctx: QueryCtx, domain: string) =>
  ctx.db
    .query("domains")
    .withIndex("by_domain", (range) => range.eq("domain", domain))
    .unique();

/** Fails with `domain.unknown`. */
export async function requireDomain(ctx: QueryCtx, domain: string): Promise<Doc<"domains">> {
  const row = await findDomain(ctx, domain);
  if (row === null) throw refusal("domain.unknown");
  return row;
}

export async function addDomain(ctx: MutationCtx, domain: Domain): Promise<void> {
  await ctx.db.insert("domains", domain);
  await appendChanges(ctx, [{ bucket: "DOMAINS", key: domain.domain, value: domainValue(domain) }]);
}

/** Changes a domain, `undefined` takes a field away; the log gets a row only if what services see of it changed. */
export async function updateDomain(ctx: MutationCtx, row: Doc<"domains">, changed: DomainChange) {
  await ctx.db.patch(row._id, changed);
  const value = domainValue(defined({ ...row, ...changed }) as Doc<"domains">);
  if (value !== domainValue(row)) await appendChanges(ctx, [{ bucket: "DOMAINS", key: row.domain, value }]);
}

export async function removeDomain(ctx: MutationCtx, row: Doc<"domains">): Promise<void> {
  await ctx.db.delete(row._id);
  await appendChanges(ctx, [{ bucket: "DOMAINS", key: row.domain, value: null }]);
}

/**
 * Keeps the keys of `domain.keyed` where the domain waits for them: two processes may both make some, and only the set that
 * everybody hears of through the log may sign. False if nothing was kept.
 */
export async function keepFirstKeys(ctx: MutationCtx, event: Payload<"domain.keyed">): Promise<boolean> {
  const row = await findDomain(ctx, event.domain);
  if (row === null) return false;
  const { rotation } = row;
  if (event.rotation !== undefined) {
    if (rotation?.number !== event.rotation || rotation.keys.length > 0) return false;
    await updateDomain(ctx, row, { rotation: { ...rotation, keys: event.keys } });
    return true;
  }
  if (row.keys.length > 0) return false;
  await updateDomain(ctx, row, {
    keys: event.keys,
    keysSince: event.at,
    state: row.state === "preparing" ? "pending" : row.state,
  });
  return true;
}

/** Asks for next keys of a domain that has some; harmless while others are on their way. */
export async function startRotation(ctx: MutationCtx, row: Doc<"domains">, startedAt: number): Promise<void> {
  const rotation = rotationFor(row, startedAt);
  if (rotation !== undefined) await updateDomain(ctx, row, { rotation });
}

/** What people and the gateway see: never the sealed private keys. */
export const domainView = (row: Doc<"domains">) =>
  defined({
    domain: row.domain,
    state: row.state,
    returnPathHost: row.returnPathHost,
    createdAt: row.createdAt,
    checkedAt: row.checkedAt,
    records: row.records,
    keys: row.keys.map(publicOf),
    keysSince: row.keysSince,
    rotation:
      row.rotation === undefined
        ? undefined
        : {
            number: row.rotation.number,
            startedAt: row.rotation.startedAt,
            keys: row.rotation.keys.map(publicOf),
          },
    retired: row.retired,
  });

export const domainRow = v.object({
  domain: v.string(),
  state: domainState,
  returnPathHost: v.string(),
  createdAt: v.number(),
  checkedAt: v.optional(v.number()),
  records: v.array(dnsRecord),
  keys: v.array(domainPublicKey),
  keysSince: v.optional(v.number()),
  rotation: v.optional(
    v.object({ number: v.number(), startedAt: v.number(), keys: v.array(domainPublicKey) }),
  ),
  retired: v.optional(v.array(retiredKey)),
});
