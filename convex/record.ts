import type { StoredEvent } from "@tyto/contracts";
import { v } from "convex/values";
import { internalMutation } from "./functions.ts";
import { applyEvents } from "./model/record.ts";

/**
 * Applies events, each once. Called by POST /events only, which has checked the signature and parsed every payload by
 * its contract; `payload` stays `any` here so that the contract is written down once.
 */
export const apply = internalMutation({
  args: { events: v.array(v.object({ subject: v.string(), payload: v.any() })) },
  returns: v.object({ applied: v.number(), repeated: v.number() }),
  handler: async (ctx, { events }) => await applyEvents(ctx, events as StoredEvent[]),
});
