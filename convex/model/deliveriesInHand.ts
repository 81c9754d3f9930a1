/**
 * The deliveries of one message while a batch of events is applied: each is read once and written once, however many
 * of the events are about it.
 */
import type { WithoutSystemFields } from "convex/server";
import type { Infer } from "convex/values";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { untouched } from "./delivery.ts";
import type { DeliveryState, onlyDelivery } from "./shapes.ts";

type Row = WithoutSystemFields<Doc<"deliveries">>;
export type Delivery = Omit<Row, "state"> & { state: DeliveryState };
type Held = {
  delivery: Delivery;
  id: Id<"deliveries"> | undefined;
  isChanged: boolean;
  /** What its row says, where the message's row says the rest. */
  storedAddress?: string;
};

/** `isNew`: nothing of the message is stored, so that nothing has to be looked for. */
export function openDeliveries(ctx: MutationCtx, messageId: string, isNew: boolean) {
  const held = new Map<string, Held>();

  const hold = ({ _id, _creationTime: _when, ...row }: Doc<"deliveries">): Delivery => {
    const present = held.get(row.deliveryId);
    if (present !== undefined) return present.delivery;
    const delivery = { ...row, state: row.state ?? untouched(0) };
    held.set(row.deliveryId, { delivery, id: _id, isChanged: false });
    return delivery;
  };

  const rowOf = (deliveryId: string) =>
    ctx.db
      .query("deliveries")
      .withIndex("by_deliveryId", (range) => range.eq("deliveryId", deliveryId))
      .unique();

  /** Who it is, without how it stands. */
  const writeAddress = async ({ delivery, id, storedAddress }: Held): Promise<void> => {
    const { state: _state, suppression: _suppression, ...row } = delivery;
    if (storedAddress === row.address) return;
    const stored = storedAddress === undefined ? null : await rowOf(row.deliveryId);
    const known = stored?._id ?? id;
    if (known === undefined) await ctx.db.insert("deliveries", row);
    else await ctx.db.replace(known, defined({ ...row, role: row.role ?? stored?.role }));
  };

  return {
    find: async (deliveryId: string): Promise<Delivery | undefined> => {
      const present = held.get(deliveryId);
      if (present !== undefined || isNew) return present?.delivery;
      const row = await rowOf(deliveryId);
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
    /** The only one of its message, which the message's row tells of: its own row need not be read. */
    holdOnly: (delivery: Delivery): void => {
      const entry = { delivery, id: undefined, isChanged: false, storedAddress: delivery.address };
      held.set(delivery.deliveryId, entry);
    },
    /** What is in hand of a delivery, without looking for it in the store. */
    known: (deliveryId: string): Delivery | undefined => held.get(deliveryId)?.delivery,
    keep: (delivery: Delivery): void => {
      const before = held.get(delivery.deliveryId);
      held.set(delivery.deliveryId, { id: undefined, ...before, delivery, isChanged: true });
    },
    /** Writes what has changed; of the only delivery of a message gives what the message's row is to say. */
    close: async (onlyId: string | undefined): Promise<Infer<typeof onlyDelivery> | undefined> => {
      let only: Infer<typeof onlyDelivery> | undefined;
      for (const entry of held.values()) {
        const { delivery, id, isChanged } = entry;
        if (!isChanged) continue;
        if (delivery.deliveryId === onlyId) {
          only = defined({ state: delivery.state, suppression: delivery.suppression });
          await writeAddress(entry);
        } else if (id === undefined) await ctx.db.insert("deliveries", delivery);
        else await ctx.db.replace(id, delivery);
      }
      return only;
    },
  };
}
