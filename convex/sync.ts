import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { recorderQuery } from "./functions.ts";
import { changesAfter, snapshotPart } from "./model/changes.ts";
import { syncedBucket } from "./model/shapes.ts";

/**
 * Changes with a sequence above `after`, oldest first, at most 500; live. `oldest` is the lowest sequence that is still
 * kept: a follower whose `after` is below `oldest - 1`, above `head`, or from another `log` takes a snapshot.
 */
export const changes = recorderQuery({
  args: { after: v.number() },
  returns: v.object({
    changes: v.array(
      v.object({ sequence: v.number(), bucket: syncedBucket, key: v.string(), value: nullable(v.string()) }),
    ),
    head: v.number(),
    oldest: v.number(),
    log: v.string(),
  }),
  handler: async (ctx, { after }) => await changesAfter(ctx, after),
});

/** All rows of a bucket in parts of at most 200; the `head` of the first part is where to follow `changes` from. */
export const snapshot = recorderQuery({
  args: { bucket: syncedBucket, cursor: nullable(v.string()) },
  returns: v.object({
    rows: v.array(v.object({ key: v.string(), value: v.string() })),
    cursor: nullable(v.string()),
    head: v.number(),
    log: v.string(),
  }),
  handler: async (ctx, { bucket, cursor }) => await snapshotPart(ctx, bucket, cursor),
});
