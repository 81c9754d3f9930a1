/**
 * The deliveries of one message while a batch of events is applied: each is read once and written once, however many
 * of the events are about it.
 */
import type { WithoutSystemFields } from "convex/server";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx } from "../_generated/server";

export type Delivery = WithoutSystemFields<Doc<"deliveries">>;
type Held = { delivery: Delivery; id: Id<"deliveries"> | undefined; isChanged: boolean };

/** `isNew`: nothing of the message is stored, so that nothing has to be looked for. */
export function openDeliveries(ctx: MutationCtx, messageId: string, isNew: boolean) {
  const held = new Map<string, Held>();

  const hold = ({ _id, _creationTime: _when, ...delivery }: Doc<"deliveries">): Delivery => {
    const present = held.get(delivery.deliveryId);
    if (present !== undefined) return present.delivery;
    held.set(delivery.deliveryId, { delivery, id: _id, isChanged: false });
    return delivery;
  };

  return {
    find: async (deliveryId: string): Promise<Delivery | undefined> => {
      const present = held.get(deliveryId);
      if (present !== undefined || isNew) return present?.delivery;
      const row = await ctx.db
        .query("deliveries")
        .withIndex("by_deliveryId", (range) => range.eq("deliveryId", deliveryId))
        .unique();
      return row === null ? undefined : hold(row);
    },
    /** Reads all of a message that has at most `countMax`, so that `find` need not look for each. */
    readAll: async (countMax: number): Promise<void> => {
      if (isNew) return;
      const rows = await ctx.db
        .query("deliveries")
        .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
        .take(countMax);
      for (const row of rows) hold(row);
    },
    /** What is in hand of a delivery, without looking for it in the store. */
    known: (deliveryId: string): Delivery | undefined => held.get(deliveryId)?.delivery,
    keep: (delivery: Delivery): void => {
      held.set(delivery.deliveryId, { id: held.get(delivery.deliveryId)?.id, delivery, isChanged: true });
    },
    close: async (): Promise<void> => {
      for (const { delivery, id, isChanged } of held.values()) {
        if (!isChanged) continue;
        if (id === undefined) await ctx.db.insert("deliveries", delivery);
        else await ctx.db.replace(id, delivery);
      }
    },
  };
}
