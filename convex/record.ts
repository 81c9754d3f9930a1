import type { StoredEvent } from "@tyto/contracts";
import { v } from "convex/values";
import { internalMutation } from "./functions.ts";
import { applyEvents } from "./model/record.ts";

/**
 * Applies events, each once. Called by POST /events only, which has checked the signature and parsed every payload by
 * its contract. They come as JSON: a text is passed on as it is, where values would be walked through four times.
 */
export const apply = internalMutation({
  args: { events: v.string() },
  returns: v.object({ applied: v.number(), repeated: v.number() }),
  handler: async (ctx, { events }) => await applyEvents(ctx, JSON.parse(events) as StoredEvent[]),
});
