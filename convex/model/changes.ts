/**
 * The change log of what Convex owns and services read from NATS: suppressions, domains, API keys, inboxes. Every change is
 * one row with the next sequence, in the mutation that makes it, so that a follower misses none.
 */
import { type BucketValue, dnsPurposes } from "@tyto/contracts";
import type { WithoutSystemFields } from "convex/server";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import type { SyncedBucket } from "./shapes.ts";

export const changesMax = 500;
export const changesKeptDays = 7;
const snapshotRowsMax = 200;

export type Change = { bucket: SyncedBucket; key: string; value: string | null };

/** Notes changes in their order. All of a mutation in one call: the head is one row that every change has to touch. */
export async function appendChanges(ctx: MutationCtx, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  const head = await ctx.db.query("changeHead").first();
  let sequence = head?.sequence ?? 0;
  for (const change of changes) await ctx.db.insert("changes", { sequence: ++sequence, ...change });
  if (head === null) await ctx.db.insert("changeHead", { sequence });
  else await ctx.db.patch(head._id, { sequence });
}

/** Changes after a sequence, oldest first, at most `changesMax`. `log` names the log: a new name means a new, emptied store. */
export async function changesAfter(ctx: QueryCtx, after: number) {
  const head = await ctx.db.query("changeHead").first();
  const oldest = await ctx.db.query("changes").withIndex("by_sequence").first();
  const rows = await ctx.db
    .query("changes")
    .withIndex("by_sequence", (range) => range.gt("sequence", after))
    .take(changesMax);
  return {
    changes: rows.map(({ sequence, bucket, key, value }) => ({ sequence, bucket, key, value })),
    head: head?.sequence ?? 0,
    oldest: oldest?.sequence ?? (head?.sequence ?? 0) + 1,
    log: head?._id ?? "",
  };
}

/** One part of all rows of a bucket, in the order of their keys; `cursor` is the last key of the part before. */
export async function snapshotPart(ctx: QueryCtx, bucket: SyncedBucket, cursor: string | null) {
  const rows = await readRows[bucket](ctx, cursor ?? "");
  const head = await ctx.db.query("changeHead").first();
  return {
    rows,
    cursor: rows.length < snapshotRowsMax ? null : (rows.at(-1)?.key ?? null),
    head: head?.sequence ?? 0,
    log: head?._id ?? "",
  };
}

const readRows: Record<
  SyncedBucket,
  (ctx: QueryCtx, after: string) => Promise<{ key: string; value: string }[]>
> = {
  SUPPRESSIONS: async (ctx, after) =>
    (
      await ctx.db
        .query("suppressions")
        .withIndex("by_key", (range) => range.gt("key", after))
        .take(snapshotRowsMax)
    ).map((row) => ({ key: row.key, value: suppressionValue(row) })),
  DOMAINS: async (ctx, after) =>
    (
      await ctx.db
        .query("domains")
        .withIndex("by_domain", (range) => range.gt("domain", after))
        .take(snapshotRowsMax)
    ).map((row) => ({ key: row.domain, value: domainValue(row) })),
  API_KEYS: async (ctx, after) =>
    (
      await ctx.db
        .query("apiKeys")
        .withIndex("by_hash", (range) => range.gt("hash", after))
        .take(snapshotRowsMax)
    ).map((row) => ({ key: row.hash, value: apiKeyValue(row) })),
  INBOXES: async (ctx, after) =>
    (
      await ctx.db
        .query("inboxes")
        .withIndex("by_key", (range) => range.gt("key", after))
        .take(snapshotRowsMax)
    ).map((row) => ({ key: row.key, value: inboxValue(row) })),
};

/** What the records of keys that sign, and all others, lack in DNS. A record that nobody could be asked for is not told. */
const unpublishedIn = (records: Row<"domains">["records"]) =>
  dnsPurposes.filter((purpose) =>
    records.some(
      (record) =>
        record.purpose === purpose &&
        record.stage === undefined &&
        (record.state === "missing" || record.state === "different"),
    ),
  );

/** A value before it was parsed: brands taken off, since rows hold plain strings that were checked on the way in. */
type Plain<T> = T extends string
  ? string
  : T extends readonly (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

type Row<Table extends "suppressions" | "domains" | "apiKeys" | "inboxes"> = WithoutSystemFields<Doc<Table>>;

export const suppressionValue = ({ address, cause, since }: Row<"suppressions">): string =>
  JSON.stringify({ address, cause, since } satisfies Plain<BucketValue<"SUPPRESSIONS">>);

export const domainValue = ({
  domain,
  organizationId,
  returnPathHost,
  keys,
  state,
  checkedAt,
  records,
  rotation,
}: Row<"domains">): string =>
  JSON.stringify({
    domain,
    organizationId,
    returnPathHost,
    keys,
    verified: state === "verified",
    ...(rotation === undefined ? {} : { rotation: { number: rotation.number, keys: rotation.keys } }),
    ...(checkedAt === undefined ? {} : { unpublished: unpublishedIn(records) }),
  } satisfies Plain<BucketValue<"DOMAINS">>);

export const apiKeyValue = ({ apiKeyId, organizationId, name, scopes, createdAt }: Row<"apiKeys">): string =>
  JSON.stringify({ apiKeyId, organizationId, name, scopes, createdAt } satisfies Plain<
    BucketValue<"API_KEYS">
  >);

export const inboxValue = ({ pattern, organizationId, since }: Row<"inboxes">): string =>
  JSON.stringify({ pattern, organizationId, since } satisfies Plain<BucketValue<"INBOXES">>);
